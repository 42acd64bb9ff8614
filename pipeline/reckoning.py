"""At the end of a run: what was planned against what the table's files say that they hold.

Each commit was checked when it was made. This looks at what lies in the store, without reading rows.
"""

import re
from collections.abc import Iterator, Sequence

import pyarrow.parquet as pq

from pipeline.audio.rules import Channels
from pipeline.commit import Footer, read_footers
from pipeline.output import generations, plan_name, transcript_name
from pipeline.planfile import Promise, promised
from pipeline.schema import FAILED
from pipeline.storage import Store

REST = re.compile(r"(/[0-9]+-|:[0-9]+)$")
"""How a row is called that stands for all recordings of a container from this number on."""
NAMED = 10
"""Shards that are named; all are counted."""


class UnaccountedError(Exception):
    """The table does not hold what was planned, and everything that could have told so before has not."""

    def __init__(self, store: Store, wrong: list[str]) -> None:
        more = f"\n  and {len(wrong) - NAMED:,} shards more" if len(wrong) > NAMED else ""
        lines = "".join(f"\n  {line}" for line in wrong[:NAMED])
        super().__init__(
            f"{store.url} does not hold what was planned:{lines}{more}\nRemove the files of these shards and run the "
            "same command again: it makes them anew."
        )


def reckon(store: Store, channels: Channels) -> None:
    """Pass where every planned recording has its row; its rows, where `channels` are read apart."""
    if wrong := list(_wrong(store, channels)):
        raise UnaccountedError(store, wrong)


def _wrong(store: Store, channels: Channels) -> Iterator[str]:
    for part in _promised(store):
        footers = read_footers(store, [promise.shard for promise in part])
        for promise in part:
            rows = _rows(store, promise, footers[promise.shard])
            exact = channels != "each" and not promise.container  # a container may have grown since it was planned
            if rows < promise.recordings or (exact and rows > promise.recordings):
                yield f"{transcript_name(promise.shard)}: {rows:,} rows for {promise.recordings:,} recordings"


def _promised(store: Store) -> Iterator[Sequence[Promise]]:
    for generation in generations(store):
        with store.open(plan_name(generation)) as file:
            yield from promised(file)


def _rows(store: Store, promise: Promise, footer: Footer) -> int:
    """How many of a shard's recordings are accounted for."""
    short = promise.container and footer.rows < promise.recordings and footer.counts[FAILED]
    return promise.recordings if short and _cut_short(store, promise.shard) else footer.rows


def _cut_short(store: Store, shard: str) -> bool:
    """Whether the last row stands for the rest of a container, which could not be read on from there."""
    with store.open(transcript_name(shard)) as file, pq.ParquetFile(file, pre_buffer=False) as table:
        (last,) = table.read(["recording_id", "status"]).slice(table.metadata.num_rows - 1).to_pylist()
    return last["status"] == FAILED and REST.search(last["recording_id"]) is not None
