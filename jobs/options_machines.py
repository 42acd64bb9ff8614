"""What each job that hears audio can be told about the machines it runs on."""

import re
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from cyclopts import Group, Parameter

PRICE = re.compile(r"\s*([^=]*[^=\s])\s*=\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*")
"""A kind of node, and what its hour costs."""
MACHINES = Parameter(group=Group("Machines", sort_key=30))


@dataclass(frozen=True)
class Machines:
    """Where a job runs, and what its stages ask for there; without a word, what suits the machines."""

    _: KW_ONLY
    address: Annotated[str | None, MACHINES] = None
    """A Ray cluster to run on; without it, one is started on this machine."""
    cpus: Annotated[int | None, MACHINES] = None
    """Cores of this machine to use; without it, all."""
    device: Annotated[str, MACHINES] = "auto"
    """`cpu`, `cuda`, or `auto`: GPUs where the cluster has any that torch can use."""
    pool: Annotated[str | None, MACHINES] = None
    """Models that hear at once: `2`, or `1-8` to grow and shrink with the nodes and the work; without it, one on each
    GPU, or one for every core that has the memory for it."""
    model_cpus: Annotated[float | None, MACHINES] = None
    """Cores for each model, and the threads it has without a GPU; without it, what readers leave, and none beside a
    GPU."""
    model_gpus: Annotated[float | None, MACHINES] = None
    """GPUs for each model, `0.5` for two on one; without it, 1 where models run on GPUs, else none."""
    model_memory: Annotated[int | None, MACHINES] = None
    """Bytes that each model is expected to take; without it, 2 GiB, or its share of a smaller machine."""
    model_patience_seconds: Annotated[float, MACHINES] = 600.0
    """Seconds that a model may take for a batch before it is taken for one that never ends: more for a large model on
    slow cores."""
    readers: Annotated[int | None, MACHINES] = None
    """Workers that read, decode and compute features; without it, eight for each GPU, or one for eight cores."""
    reader_cpus: Annotated[float | None, MACHINES] = None
    """Cores for each reader; without it, 1 beside GPUs, and 0.5 where models run on the same cores."""
    reader_memory: Annotated[int | None, MACHINES] = None
    """Bytes that each reader is expected to take; without it, 2 GiB, or its share of a smaller machine."""
    price: Annotated[tuple[str, ...], MACHINES, Parameter(negative="")] = ()
    """What an hour of a node costs, by its kind: cpu=0.04, gpu=2.5, or the name of its group. In YAML a mapping."""
    metrics_port: Annotated[int | None, MACHINES] = None
    """Where this machine's own cluster offers its metrics to Prometheus; without it, anywhere free. Not with --address:
    `ray start --metrics-export-port` says it of a node."""

    @property
    def elsewhere(self) -> bool:
        """Whether it runs on a cluster that is there already, and not on one of this machine alone."""
        return self.address not in (None, "local")

    @property
    def bounds(self) -> tuple[int, int] | None:
        """The fewest and the most models, where they are given."""
        found = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", self.pool or "")
        return None if found is None else (int(found[1]), int(found[2] or found[1]))

    @property
    def prices(self) -> dict[str, float]:
        """Per hour of a node, by its kind."""
        found = [PRICE.fullmatch(written) for written in self.price]
        return {price[1]: float(price[2]) for price in found if price is not None}

    def _machines(self) -> Iterator[str]:
        """Values that no cluster could have."""
        if self.pool is not None and not (self.bounds and 1 <= self.bounds[0] <= self.bounds[1]):
            yield f"pool is {self.pool!r}: it must be a number of models, as in 2, or two bounds, as in 1-8"
        if self.metrics_port is not None and not 0 < self.metrics_port < 1 << 16:
            yield f"metrics_port is {self.metrics_port}: it must be a port, 1 to 65535"
        elif self.metrics_port is not None and self.elsewhere:
            yield f"metrics_port is {self.metrics_port}: the nodes of {self.address} have ports of their own already"
        for written in self.price:
            if PRICE.fullmatch(written) is None:
                yield f"price is {written!r}: it must be a kind of node and what its hour costs, as in gpu=2.5"
        yield from self._requests()

    def _requests(self) -> Iterator[str]:
        for name in ("cpus", "readers", "model_memory", "reader_memory"):
            if (value := getattr(self, name)) is not None and value < 1:
                yield f"{name} is {value}: it must be 1 or more"
        if not self.model_patience_seconds > 0:
            yield f"model_patience_seconds is {self.model_patience_seconds}: it must be more than 0"
        if self.reader_cpus is not None and not self.reader_cpus > 0:
            yield f"reader_cpus is {self.reader_cpus}: it must be more than 0"
        for name in ("model_cpus", "model_gpus"):
            if (value := getattr(self, name)) is not None and not value >= 0:
                yield f"{name} is {value}: it must be 0 or more"
        if self.model_gpus is not None and self.model_gpus > 1 and self.model_gpus % 1:
            yield f"model_gpus is {self.model_gpus}: more than one must be whole ones"
