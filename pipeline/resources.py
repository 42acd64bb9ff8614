"""What the stages ask a cluster for: what suits its machines, unless a user says otherwise."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.log import NOTICE, tell

Offers = Sequence[Mapping[str, float]]
"""What each machine of a cluster has to give."""
READERS = 8
"""That a GPU's model may need to be kept busy."""
EACH = 8
"""Batches of a window for each model."""
ROOM = 3 << 30
"""Bytes that a machine should have for each of its models: the larger families take as much with a batch in hand."""
MISSING = {"CPU": 1.0, "GPU": 0.0, "memory": math.inf}
"""What a machine has that says nothing of it."""
WORDS = {"CPU": "cores", "GPU": "GPUs", "memory": "bytes of memory"}


class UnfitError(Exception):
    """The cluster cannot give what was asked for: every reason, one per line."""


@dataclass(frozen=True)
class Asked:
    """What a user wants of the machines; None is what suits them."""

    device: str = "auto"
    """`cpu`, `cuda`, or `auto`: GPUs where there are any that torch can use."""
    pool: tuple[int, int] | None = None
    """The fewest and the most models."""
    readers: int | None = None
    reader_cpus: float | None = None
    reader_memory: int | None = None
    model_cpus: float | None = None
    model_gpus: float | None = None
    """Asked for on `cpu`, too, where it is said: a model for each GPU that hears without it."""
    model_memory: int | None = None

    @property
    def each(self) -> float:
        """GPUs for each model."""
        return self.model_gpus if self.model_gpus is not None else float(self.device == "cuda")


SUITABLE = Asked()


@dataclass(frozen=True)
class Resources:
    """What the stages ask the cluster for."""

    device: str = "cpu"
    """Where models run: `cpu` or `cuda`."""
    readers: int = 1
    """That the run begins with."""
    most_readers: int = 0
    """To how many they grow as cores join; not at all where that is less."""
    spared: float = 0.0
    """Cores that readers leave to models, which do not ask for them."""
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
        """What a batch may hold: a GPU wants much at once, while on CPUs small ones are as fast."""
        return 160.0 if self.device == "cuda" else 40.0

    @property
    def batches(self) -> int:
        """What a reader makes of its window at least, so that all models have work until they end together."""
        return EACH * max(1, math.ceil(self.begun / self.readers))


def settled(asked: Asked, there: Offers, usable: Callable[[], bool]) -> Asked:
    """With the device that it will be; `UnfitError` where it was named and is not there."""
    if asked.device == "cpu" or not (any(node.get("GPU") for node in there) or asked.device == "cuda"):
        return replace(asked, device="cpu")
    if not any(node.get("GPU") for node in there):
        raise UnfitError("device is 'cuda', and no machine of the cluster has a GPU: add one, or say --device cpu")
    if usable():
        return replace(asked, device="cuda")
    if asked.device == "cuda":
        raise UnfitError("device is 'cuda', and torch cannot use the cluster's GPUs: it was built without CUDA, say")
    tell("the cluster has GPUs that torch cannot use (`steno doctor` looks why): models run on its cores", level=NOTICE)
    return replace(asked, device="cpu")


def resources(there: Offers, asked: Asked = SUITABLE) -> Resources:
    """What suits these machines: a model on each GPU, or on each core that has the memory, unless told otherwise.

    Models of one thread each are faster than one of many, whose threads wait for the slowest where they meet. What is
    asked for fits the smallest of them: a request that is larger than every machine waits for ever.
    """
    found = _on_gpus(there, asked) if asked.each else _on_cores(there, asked)
    told = {
        "device": asked.device if asked.device != "auto" else "cpu",
        "readers": asked.readers,
        "most_readers": asked.readers,
        "reader_cpus": asked.reader_cpus,
        "reader_memory": asked.reader_memory,
        "listener_cpus": asked.model_cpus,
        "listener_memory": asked.model_memory,
    }
    found = replace(found, **{name: value for name, value in told.items() if value is not None})  # type: ignore[arg-type]
    if _by_hand(asked) and (problems := list(_unfit(there, found))):
        raise UnfitError("\n".join(problems))
    return found


def _by_hand(asked: Asked) -> bool:
    return replace(asked, device=SUITABLE.device, pool=None) != SUITABLE


def _on_gpus(there: Offers, asked: Asked) -> Resources:
    gpus, cpus = (int(sum(node.get(name, 0) for node in there)) for name in ("GPU", "CPU"))
    room = sum(int(node.get("GPU", 0) / asked.each) for node in there)
    fewest, most = asked.pool or (max(1, room),) * 2
    readers = max(1, min(READERS * gpus, cpus - gpus))
    # a model asks for no core: readers that come back before it could hold all of its machine's, and it would wait
    return Resources(
        readers=readers,
        most_readers=max(readers, READERS * most),
        spared=max(0, min(gpus, cpus - readers)),
        reader_cpus=1.0,
        listeners=(fewest, most),
        begun=max(fewest, min(room, most)),
        listener_cpus=0.0,
        listener_gpus=asked.each,
    )


def _on_cores(there: Offers, asked: Asked) -> Resources:
    working = [node for node in there if node.get("CPU", 0)] or [{"CPU": 1.0}]
    shares = [_share(node, -(-asked.pool[1] // len(working)) if asked.pool else None) for node in working]
    fewest, most = asked.pool or (sum(share.begun for share in shares),) * 2
    memory = min(share.listener_memory for share in shares)
    return Resources(
        readers=sum(share.readers for share in shares),
        listeners=(fewest, most),
        begun=most,
        listener_cpus=min(share.listener_cpus for share in shares),
        reader_memory=memory,
        listener_memory=memory,
    )


def _unfit(there: Offers, wanted: Resources) -> Iterator[str]:
    """Requests that no machine can give: they would be waited for without end."""
    reader = {"CPU": wanted.reader_cpus, "memory": wanted.reader_memory}
    model = {"CPU": wanted.listener_cpus, "GPU": wanted.listener_gpus, "memory": wanted.listener_memory}
    for who, needs in {"reader": reader, "model": model}.items():
        if not any(all(node.get(name, MISSING[name]) >= need for name, need in needs.items()) for node in there):
            words = ", ".join(f"{need:,.12g} {WORDS[name]}" for name, need in needs.items() if need)
            yield f"a {who} asks for {words}: no machine of the cluster has them together"


def _share(node: Mapping[str, float], models: int | None) -> Resources:
    """What suits one machine without a GPU, with so many models or as many as it has cores and memory for."""
    cpus, memory = node["CPU"], 0.8 * node.get("memory", 8 << 30)
    pool, readers = models or max(1, min(int(cpus), int(memory // ROOM))), max(1, int(cpus) // 8)
    each = min(2 << 30, int(memory / (pool + readers)))
    cores = max(0.5, (cpus - 0.5 * readers) / pool)
    return Resources(readers=readers, begun=pool, listener_cpus=cores, listener_memory=each)
