"""What runs leave in `runs/`, those that did not come to their end among them: `read_runs` tells of none of these.

A night that is started again goes on under the same id, and its record is written anew: what its earlier starts did
and cost is a part of it.
"""

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jobs.options import Work
from pipeline.output import JSON, RUNS
from pipeline.schema import STATUSES
from pipeline.storage import Store, StoreError
from pipeline.tally import Tally, per_hour


@dataclass(frozen=True)
class Part:
    """What a run has done, in one start or in several."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """Rows by status."""
    shards: int = 0
    audio_seconds: float = 0.0
    wall_seconds: float = 0.0
    cost: float | None = None
    """None without prices."""

    @property
    def hourly_cost(self) -> float | None:
        """For an hour of audio."""
        return per_hour(self.cost, self.audio_seconds)

    def __add__(self, other: "Part") -> "Part":
        costs = [part.cost for part in (self, other) if part.cost is not None]
        return Part(
            {status: self.counts.get(status, 0) + other.counts.get(status, 0) for status in STATUSES},
            self.shards + other.shards,
            self.audio_seconds + other.audio_seconds,
            self.wall_seconds + other.wall_seconds,
            sum(costs) if costs else None,
        )


def new_run_id() -> str:
    """Unlike any other; the ids of later runs sort behind it."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"


def part(tally: Tally, wall_seconds: float, options: Work) -> Part:
    """What one start has done."""
    cost = tally.cost if options.prices else None
    return Part(dict(tally.counts), tally.shards, tally.seconds, wall_seconds, cost)


def before(store: Store, run_id: str) -> Part:
    """What earlier starts of a run did, as far as they left a record."""
    try:
        return told(json.loads(store.read(f"{RUNS}/{run_id}{JSON}")))
    except StoreError as error:
        if not error.lasting:
            raise
        return Part()


def told(record: Mapping[str, object]) -> Part:
    """What a record says; one of an earlier version may lack what later ones know."""
    counts, cost = record.get("counts"), record.get("cost")
    return Part(
        counts if isinstance(counts, dict) else {},
        int(number(record, "shards")),
        number(record, "audio_seconds"),
        number(record, "wall_seconds"),
        None if cost is None else number(record, "cost"),
    )


def number(record: Mapping[str, object], name: str) -> float:
    """A figure of a record; 0 where it has none."""
    value = record.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def records(store: Store) -> Iterator[dict[str, object]]:
    """Every one, in the order of their names."""
    for entry in store.names(RUNS):
        if entry.uri.endswith(JSON):
            yield json.loads(store.read(entry.uri))
