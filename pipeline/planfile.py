"""The plan as a Parquet file: shards lie whole in its row groups, in the order of their names.

So a worker reads the rows of one shard without the rest, and nobody holds the corpus.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.inputs.containers import ROWS
from pipeline.inputs.earlier import Earlier, Form, prefix
from pipeline.inputs.found import PlanRules
from pipeline.inputs.nemo import TARRED
from pipeline.inputs.rows import Row, key, unpacked
from pipeline.plan import shards_of
from pipeline.schema import PLAN

INPUTS = "stenopool.inputs"
TOLD = "stenopool.told"
Told = Mapping[str, str | Sequence[str]]
"""What the user said of how inputs are read, by the options' names."""
NOTHING: Told = {}
GROUP = 8192
"""Rows of a row group, at least, where there are so many: few groups make a small footer."""


@dataclass(frozen=True)
class Place:
    """Where the rows of a shard stand in the plan."""

    shard: str
    row_group: int
    first: int
    """Row of the row group at which it begins."""
    rows: int
    """Recordings; 1 where it is a container."""
    bytes: int = 0
    """Of audio, where the input told."""


@dataclass(frozen=True)
class Promise:
    """What a shard must hold, as the plan knows it."""

    shard: str
    recordings: int
    container: bool = False


@dataclass(frozen=True)
class Part:
    """A shard that is a part of a container, or all of it."""

    shard: str
    container: int
    """Eight bytes for the container,"""
    part: int
    """and for this part of it."""
    first: bool
    """Whether the container begins with it."""


@dataclass(frozen=True)
class Planned:
    """What was written into a plan."""

    shards: int = 0
    rows: int = 0
    """Recordings, and containers."""
    containers: int = 0
    """Rows whose recordings are known only when they are read."""
    failed: int = 0
    """Recordings that the plan itself refused."""
    bytes: int = 0
    """Of audio, where the input told."""
    timed: int = 0
    """Recordings whose length the input told."""
    seconds: float = 0.0
    """Of those."""

    def with_shard(self, table: pa.Table) -> "Planned":
        """Counted together with one more shard."""
        return Planned(
            self.shards + 1,
            self.rows + len(table),
            self.containers + table["recording_id"].null_count,
            self.failed + len(table) - table["error"].null_count,
            self.bytes + (pc.sum(table["bytes"]).as_py() or 0),
            self.timed + len(table) - table["duration"].null_count,
            self.seconds + (pc.sum(table["duration"]).as_py() or 0.0),
        )


def write_plan(tables: Iterable[pa.Table], file: BinaryIO, inputs: Sequence[str] = (), told: Told = NOTHING) -> Planned:
    """Write shards, in their order, what they were planned from, and what was said of it."""
    waiting: list[pa.Table] = []
    total = Planned()
    with pq.ParquetWriter(file, PLAN, compression="zstd", write_statistics=["shard"]) as writer:
        for table in tables:
            waiting.append(table)
            total = total.with_shard(table)
            if sum(map(len, waiting)) >= GROUP:
                writer.write_table(pa.concat_tables(waiting), row_group_size=1 << 30)
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting), row_group_size=1 << 30)
        writer.add_key_value_metadata({INPUTS: json.dumps(list(inputs)), TOLD: json.dumps(dict(told))})
    return total


def inputs_of(file: BinaryIO) -> list[str]:
    """What a plan was made from, as the user named it; nothing where it was made from rows that failed."""
    said = pq.read_metadata(file).metadata or {}
    found: list[str] = json.loads(said.get(INPUTS.encode(), b"[]"))
    return found


def told_of(file: BinaryIO) -> Told:
    """What was said of how the inputs of a plan are read."""
    said = pq.read_metadata(file).metadata or {}
    found: Told = json.loads(said.get(TOLD.encode(), b"{}"))
    return found


def shards(file: BinaryIO) -> Iterator[Place]:
    """Yield where each shard stands, a row group at a time."""
    with pq.ParquetFile(file, pre_buffer=False) as plan:
        for group in range(plan.num_row_groups):
            table = plan.read_row_group(group, ["shard", "bytes"])
            runs = pc.run_end_encode(table["shard"].combine_chunks())
            sizes = np.concatenate([[0], np.cumsum(table["bytes"].fill_null(0).to_numpy())])
            first = 0
            for end, shard in zip(runs.run_ends.to_pylist(), runs.values.to_pylist(), strict=True):
                yield Place(shard, group, first, end - first, int(sizes[end] - sizes[first]))
                first = end


def promised(file: BinaryIO) -> Iterator[list[Promise]]:
    """Yield what the shards of a row group must hold, without those of which only their readers know."""
    with pq.ParquetFile(file, pre_buffer=False) as plan:
        for group in range(plan.num_row_groups):
            table = plan.read_row_group(group, ["shard", "recording_id"])
            named = table.filter(pc.is_valid(table["recording_id"]))["shard"]
            loose = [Promise(each["values"], each["counts"]) for each in named.value_counts().to_pylist()]
            yield loose + (list(_counted(plan, group)) if table["recording_id"].null_count else [])


def _counted(plan: pq.ParquetFile, group: int) -> Iterator[Promise]:
    """Containers whose rows the planner has seen."""
    table = plan.read_row_group(group, ["shard", "recording_id", "extra"])
    for box in table.filter(pc.is_null(table["recording_id"])).to_pylist():
        rows = json.loads(box["extra"]).get(ROWS)
        if rows is not None:
            yield Promise(box["shard"], rows, container=True)


def parts(file: BinaryIO) -> Iterator[Part]:
    """Yield the shards that are of containers."""
    with pq.ParquetFile(file, pre_buffer=False) as plan:
        for group in range(plan.num_row_groups):
            if plan.read_row_group(group, ["recording_id"])["recording_id"].null_count:
                table = plan.read_row_group(group)
                boxes = table.filter(pc.is_null(table["recording_id"]))
                yield from map(_part, boxes["shard"].to_pylist(), (row for _, row in unpacked(boxes)))


def _part(shard: str, row: Row) -> Part:
    whole, stretch = (prefix(row), row.uri), (row.begin_byte, row.end_byte, row.row_group)
    return Part(shard, key(*whole), key(*whole, *stretch), not row.begin_byte and not row.row_group)


def shard_rows(file: BinaryIO, place: Place) -> pa.Table:
    """The rows of one shard."""
    return group_rows(file, place.row_group).slice(place.first, place.rows)


def group_rows(file: BinaryIO, row_group: int) -> pa.Table:
    """The rows of all shards of a row group."""
    with pq.ParquetFile(file, pre_buffer=False) as plan:
        return plan.read_row_group(row_group)


def objects(file: BinaryIO, row_group: int) -> list[str]:
    """What the rows of a row group lie in, each once, in their order; nothing that the plan itself refused."""
    with pq.ParquetFile(file, pre_buffer=False) as plan:
        table = plan.read_row_group(row_group, ["format", "uri", "error"])
    named = table.filter(pc.is_null(table["error"]))
    pairs = zip(named["format"].to_pylist(), named["uri"].to_pylist(), strict=True)
    return list(dict.fromkeys(uri.rpartition("#")[0] if form == TARRED else uri for form, uri in pairs))


def read_plan(file: BinaryIO) -> Iterator[pa.Table]:
    """Yield every shard's rows."""
    with pq.ParquetFile(file, pre_buffer=False) as plan:
        for group in range(plan.num_row_groups):
            table = plan.read_row_group(group)
            ends = pc.run_end_encode(table["shard"].combine_chunks()).run_ends.to_pylist()
            for first, end in zip([0, *ends[:-1]], ends, strict=True):
                yield table.slice(first, end - first)


def earlier(plans: Iterable[BinaryIO]) -> Earlier:
    """What plans hold, the oldest first."""
    return Earlier(rows for file in plans for rows in _rows(file))


def _rows(file: BinaryIO) -> Iterator[list[Row]]:
    with pq.ParquetFile(file, pre_buffer=False) as plan:
        for group in range(plan.num_row_groups):
            yield [row for _, row in unpacked(plan.read_row_group(group))]


def new_or_changed(before: Earlier, current: Iterable[pa.Table], rules: PlanRules) -> Iterator[pa.Table]:
    """Yield shards of what no earlier plan holds, or held in another version last; `rules.generation` names them."""
    return shards_of(_unplanned(before, current), rules)


def _unplanned(before: Earlier, current: Iterable[pa.Table]) -> Iterator[Form]:
    """A container is read again as a whole: it may have been parted elsewhere."""
    for container, tables in groupby(current, _container):
        rows = (list(unpacked(table)) for table in tables)
        if container is None:
            for part in rows:
                yield from (row for row, old in zip(part, before.unchanged(part), strict=True) if not old)
        elif not before.holds(whole := list(chain.from_iterable(rows))):
            yield from whole


def _container(table: pa.Table) -> tuple[str, str] | None:
    """Which container a shard is of; None for recordings."""
    _, row = next(unpacked(table.slice(0, 1)))
    return None if row.recording_id is not None else (row.uri, prefix(row))
