"""What a run has done so far, and how that is told to whoever watches.

It is counted from what arrives, by the one process that sees everything: a worker that dies takes no count with it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import gauges
from pipeline.gauges import Gauge, Gauges
from pipeline.schema import STATUSES


@dataclass(frozen=True)
class Standing:
    """How the engine stands at one look."""

    queued: int = 0
    """Batches that wait for a model."""
    running: int = 0
    """Models that are loaded."""
    pending: int = 0
    """Models that load, or wait for a device."""
    readers: int = 0
    """Readers that are up."""


@dataclass
class Tally:
    """What a run has done so far."""

    shards: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """Rows by status."""
    seconds: float = 0.0
    """Of audio, in finished shards."""
    audio: float = 0.0
    """Seconds of audio that are behind the models, in open shards, too."""
    heard: float = 0.0
    """Seconds that models have heard: pieces overlap at cuts, and what was lost is heard again."""
    room: float = 0.0
    """Seconds that they would have heard without padding taken off."""
    batches: int = 0
    """Batches that models have heard."""
    busy: float = 0.0
    """Seconds in which devices had a batch, over all of them."""
    idle: float = 0.0
    """Seconds in which they waited for one."""
    readers: int = 0
    """Of the pool before the models, when it was largest."""
    reading: float = 0.0
    """Seconds in which readers made batches, over all of them."""
    splits: int = 0
    """Batches that were halved because they did not fit the device's memory."""
    already: int = 0
    """Shards that someone else had written when ours was ready."""
    passes: int = 0
    retries: int = 0
    """Shards that were read again."""
    repeats: int = 0
    """Requests that storage had to be asked again."""
    arrivals: Counter[str] = field(default_factory=Counter)
    """Rows by status, those of open shards among them."""
    open: int = 0
    """Shards of which something has arrived, but not all."""
    commits: list[float] = field(default_factory=list)
    """Seconds that each commit took."""
    standing: Standing = Standing()
    """The queue and the pool, when it was last looked at them."""
    cost: float = 0.0
    """What the run has cost so far, in the unit of the given prices."""
    missing: int = 0
    """What was to be done at the start: bytes of audio, as far as the plan knows them."""
    written: float = 0.0
    """What of that is in shards that are written."""
    done: float = 0.0
    """What is done of it, in open shards, too, as far as is known."""

    @property
    def padding(self) -> float:
        """The share of padding in the batches."""
        return 1 - self.heard / self.room if self.room else 0.0

    @property
    def idle_share(self) -> float:
        """The part of the devices' time in which they waited."""
        return self.idle / (self.idle + self.busy) if self.idle else 0.0

    @property
    def hourly_cost(self) -> float | None:
        """What an hour of audio has cost so far; None where no prices are known, or nothing is done."""
        return per_hour(self.cost, self.audio)

    @property
    def share(self) -> float:
        """The part of the run that is done, as far as is known."""
        return min(1.0, self.done / self.missing) if self.missing else 0.0

    def take(self, heard: pa.Table, rate: int) -> None:
        """Count a table of heard segments, of so many samples a second."""
        self.audio += sum(fresh or 0 for fresh in pc.struct_field(heard["key"], "fresh").to_pylist()) / rate
        for seconds, padding in zip(heard["seconds"].to_pylist(), heard["padding"].to_pylist(), strict=True):
            self.heard += seconds
            self.room += seconds / (1 - padding)
        for effort in heard["effort"].drop_null().to_pylist():
            self.batches += effort["heard"]
            self.busy += effort["busy"]
            self.idle += effort["idle"]
            self.reading += effort["reading"]
            self.splits += effort["splits"]
            self.repeats += effort["retries"]


def per_hour(cost: float | None, seconds: float) -> float | None:
    """What an hour of audio cost; None where that is not known."""
    return 3600 * cost / seconds if cost and seconds else None


Watch = Callable[[Tally], None]


class Told:
    """Tells the gauges what a tally has grown by since they were told last."""

    def __init__(self, watching: Gauges) -> None:
        self.watching = watching
        self._before: dict[tuple[str, str], float] = {}
        self._commits = 0

    def __call__(self, tally: Tally) -> None:
        """Say what is new, and where the levels stand."""
        for gauge, tag, value in _counts(tally):
            grown = value - self._before.get((gauge.name, tag), 0.0)
            self._before[gauge.name, tag] = value
            self.watching(gauge, grown, tag)
        for seconds in tally.commits[self._commits :]:
            self.watching(gauges.COMMIT, seconds)
        self._commits = len(tally.commits)
        for gauge, tag, value in _levels(tally):
            self.watching(gauge, value, tag)


def _counts(tally: Tally) -> Iterator[tuple[Gauge, str, float]]:
    yield from ((gauges.RECORDINGS, status, tally.arrivals[status]) for status in STATUSES)
    yield gauges.AUDIO, "", tally.audio
    yield gauges.HEARD, "", tally.heard
    yield gauges.ROOM, "", tally.room
    yield gauges.BATCHES, "", tally.batches
    yield gauges.BUSY, "", tally.busy
    yield gauges.IDLE, "", tally.idle
    yield gauges.SPLITS, "", tally.splits
    yield gauges.SHARDS, "", tally.shards
    yield gauges.RETRIES, "shard", tally.retries
    yield gauges.RETRIES, "request", tally.repeats
    yield gauges.COST, "", tally.cost


def _levels(tally: Tally) -> Iterator[tuple[Gauge, str, float]]:
    yield gauges.OPEN, "", tally.open
    yield gauges.SHARE, "", tally.share
    yield gauges.QUEUE, "", tally.standing.queued
    yield gauges.POOL, "loaded", tally.standing.running
    yield gauges.POOL, "loading", tally.standing.pending
