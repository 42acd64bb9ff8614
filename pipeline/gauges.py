"""What an operator can watch while a run goes on: the names, and the one call that stages make.

A stage is handed something to call and knows nothing of the engine behind it: see `meters` for that. Counters only
grow, so that what a dead worker had counted is still right when it is gone.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["count", "level", "spread"]


@dataclass(frozen=True)
class Gauge:
    """One thing that is watched."""

    name: str
    """Without the engine's prefix. A count ends in `_total`, a time in `_seconds`."""
    kind: Kind
    """`count` only grows, `level` is set, `spread` is how values are distributed."""
    about: str
    """What it says, for whoever reads a dashboard."""
    tag: str = ""
    """What tells its values apart: `status`, `of`; empty where there is one value."""


class Gauges(Protocol):
    """Takes what stages count."""

    def __call__(self, gauge: Gauge, value: float, tag: str = "") -> None:
        """Add to a count, set a level, or put a value into a spread."""


def unwatched(gauge: Gauge, value: float, tag: str = "") -> None:
    """Nobody looks on."""


RECORDINGS = Gauge("stenopool_recordings_total", "count", "Recordings that have ended, by status", "status")
AUDIO = Gauge("stenopool_audio_seconds_total", "count", "Seconds of audio that are behind the models")
HEARD = Gauge("stenopool_heard_seconds_total", "count", "Seconds that models have heard, overlaps at cuts included")
ROOM = Gauge("stenopool_padded_seconds_total", "count", "Seconds that models would have heard, padding included")
BATCHES = Gauge("stenopool_batches_total", "count", "Batches that models have heard")
QUEUE = Gauge("stenopool_queued_batches", "level", "Batches that wait for a model")
POOL = Gauge("stenopool_models", "level", "Models of the pool, by what they do", "state")
BUSY = Gauge("stenopool_device_busy_seconds_total", "count", "Seconds in which devices had a batch")
IDLE = Gauge("stenopool_device_idle_seconds_total", "count", "Seconds in which devices waited for a batch")
SPLITS = Gauge("stenopool_memory_splits_total", "count", "Batches halved because they did not fit the device's memory")
RETRIES = Gauge("stenopool_retries_total", "count", "What was asked for or read again, by what it was", "of")
COMMIT = Gauge("stenopool_commit_seconds", "spread", "How long the commit of a shard takes")
SHARDS = Gauge("stenopool_shards_total", "count", "Shards whose table is written")
OPEN = Gauge("stenopool_open_shards", "level", "Shards of which something has arrived, but not all")
SHARE = Gauge("stenopool_done_ratio", "level", "The part of the run that is done, as far as is known")
COST = Gauge("stenopool_cost_total", "count", "What the run has cost so far, in the unit of the given prices")

GAUGES = (
    RECORDINGS,
    AUDIO,
    HEARD,
    ROOM,
    BATCHES,
    QUEUE,
    POOL,
    BUSY,
    IDLE,
    SPLITS,
    RETRIES,
    COMMIT,
    SHARDS,
    OPEN,
    SHARE,
    COST,
)
"""All of them."""
