"""The machines that a run has: a cluster that is there, or one of this process alone, and what suits it."""

import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import ray

from pipeline.loopback import LOCAL, on_loopback, stays_here
from pipeline.prices import CPU, GPU, Names
from pipeline.quiet import quiet, unannounced
from pipeline.vigil import begin, vigil

NAMES = ("ray.io/node-group", "ray.io/node-type", "node.kubernetes.io/instance-type")
"""Labels by which a cluster's makers tell their nodes apart."""
ROOM = 3 << 30
"""Bytes that a machine should have for each of its models: the larger families take as much with a batch in hand."""


@dataclass(frozen=True)
class Resources:
    """What the stages ask the cluster for."""

    readers: int = 1
    reader_cpus: float = 0.5
    reader_memory: int = 2 << 30
    """Bytes that a reader is expected to take."""
    listeners: tuple[int, int] = (1, 1)
    """The pool's bounds."""
    begun: int = 1
    """Models that the pool begins with, all loading at once: as many as have room, within the bounds."""
    listener_cpus: float = 1.0
    listener_gpus: float = 0.0
    listener_memory: int = 2 << 30

    @property
    def listener_threads(self) -> int:
        """Threads of a model on a CPU."""
        return max(1, math.ceil(self.listener_cpus))

    @property
    def batch_seconds(self) -> float:
        """What a batch may hold: a GPU wants much at once, while on CPUs small ones keep all models busy to the end."""
        return 160.0 if self.listener_gpus else 40.0


@contextmanager
def cluster(
    address: str | None = None,
    cpus: int | None = None,
    folder: str | None = None,
    pool: tuple[int, int] | None = None,
    metrics_port: int | None = None,
) -> Iterator[Resources]:
    """A cluster to run on, with what to ask it for: the one at `address`, or one of this process alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_task_oom_retries", "2")
    quiet()
    with unannounced():
        begin(lambda: _start(address, cpus, folder, metrics_port))
    try:
        with vigil():
            yield resources(offers(), pool)
    finally:
        ray.shutdown()


def _start(address: str | None, cpus: int | None, folder: str | None, metrics_port: int | None) -> None:
    with on_loopback() if stays_here(address) else nullcontext():
        if address is None or address == LOCAL:
            ray.init(
                address=LOCAL,
                num_cpus=cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=folder,
                _metrics_export_port=metrics_port,
            )
        else:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)


def offers() -> list[Mapping[str, float]]:
    """What each machine of the cluster has to give."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def resources(there: Sequence[Mapping[str, float]], pool: tuple[int, int] | None = None) -> Resources:
    """What suits these machines: a model on each GPU, or on each core that has the memory, unless bounds are given.

    Models of one thread each are faster than one of many, whose threads wait for the slowest where they meet. What is
    asked for fits the smallest of them: a request that is larger than every machine waits for ever.
    """
    gpus, cpus = (int(sum(node.get(name, 0) for node in there)) for name in ("GPU", "CPU"))
    if gpus:
        readers = max(1, min(8 * gpus, cpus - gpus))
        fewest, most = pool or (gpus, gpus)
        begun = max(fewest, min(gpus, most))
        # a model asks for no core: readers that come back before it could hold all of its machine's, and it would wait
        return Resources(readers, 1.0, listeners=(fewest, most), begun=begun, listener_cpus=0.0, listener_gpus=1.0)
    working = [node for node in there if node.get("CPU", 0)] or [{"CPU": 1.0}]
    shares = [_share(node, -(-pool[1] // len(working)) if pool else None) for node in working]
    fewest, most = pool or (sum(share.begun for share in shares),) * 2
    memory = min(share.listener_memory for share in shares)
    return Resources(
        readers=sum(share.readers for share in shares),
        listeners=(fewest, most),
        begun=most,
        listener_cpus=min(share.listener_cpus for share in shares),
        reader_memory=memory,
        listener_memory=memory,
    )


def _share(node: Mapping[str, float], models: int | None) -> Resources:
    """What suits one machine without a GPU, with so many models or as many as it has cores and memory for."""
    cpus, memory = node["CPU"], 0.8 * node.get("memory", 8 << 30)
    pool, readers = models or max(1, min(int(cpus), int(memory // ROOM))), max(1, int(cpus) // 8)
    each = min(2 << 30, int(memory / (pool + readers)))
    cores = max(0.5, (cpus - 0.5 * readers) / pool)
    return Resources(readers=readers, begun=pool, listener_cpus=cores, listener_memory=each)


def once(function: Callable[[], str | None], resources: Resources) -> str | None:
    """Call something on a worker that has what a model of the pool has, and wait for what it says."""
    remote = ray.remote(_called).options(
        num_cpus=resources.listener_cpus,
        num_gpus=resources.listener_gpus,
        memory=resources.listener_memory,
        max_retries=2,
    )
    return ray.get(remote.remote(function))


def _called(function: Callable[[], str | None]) -> str | None:
    return function()


def nodes() -> list[Names]:
    """What each node of the cluster may be called: its group's name, its type, and whether it has a GPU."""
    alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return [(*_labels(node["Labels"]), GPU if node["Resources"].get("GPU") else CPU) for node in alive]


def _labels(labels: Mapping[str, str]) -> list[str]:
    return [labels[name] for name in NAMES if labels.get(name)]
