"""The plan as a Parquet file: shards lie whole in its row groups, in the order of their names.

So a worker reads the rows of one shard without the rest, and nobody holds the corpus.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.inputs.containers import ROWS
from pipeline.inputs.found import PlanRules
from pipeline.inputs.rows import Row, key, unpacked
from pipeline.inputs.seen import Seen
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


def shard_rows(file: BinaryIO, place: Place) -> pa.Table:
    """The rows of one shard."""
    with pq.ParquetFile(file, pre_buffer=False) as plan:
        return plan.read_row_group(place.row_group).slice(place.first, place.rows)


def read_plan(file: BinaryIO) -> Iterator[pa.Table]:
    """Yield every shard's rows."""
    with pq.ParquetFile(file, pre_buffer=False) as plan:
        for group in range(plan.num_row_groups):
            table = plan.read_row_group(group)
            ends = pc.run_end_encode(table["shard"].combine_chunks()).run_ends.to_pylist()
            for first, end in zip([0, *ends[:-1]], ends, strict=True):
                yield table.slice(first, end - first)


def new_or_changed(previous: Iterable[BinaryIO], current: Iterable[pa.Table], rules: PlanRules) -> Iterator[pa.Table]:
    """Yield shards of what no earlier plan holds, or holds in another version; `rules.generation` names them."""
    planned, ids, owners = Seen(), Seen(), Seen()
    for file in previous:
        for table in read_plan(file):
            rows = list(unpacked(table))
            planned.take([_content(row) for _, row in rows])
            ids.take([key(row.recording_id) for _, row in rows if row.recording_id is not None])
            owners.take([_owner(row) for _, row in rows if row.recording_id is not None])
    return shards_of(_unplanned(current, planned, ids, owners), rules)


def _unplanned(current: Iterable[pa.Table], planned: Seen, ids: Seen, owners: Seen) -> Iterator[tuple[str, Row]]:
    for table in current:
        rows = list(unpacked(table))
        known = planned.has(np.array([_content(row) for _, row in rows], np.uint64))
        yield from ((form, _own(row, ids, owners)) for (form, row), old in zip(rows, known, strict=True) if not old)


def _own(row: Row, ids: Seen, owners: Seen) -> Row:
    """The row, with another id where its own belongs to another recording of an earlier plan."""
    if row.recording_id is None:
        return row
    taken = ids.has(np.array([key(row.recording_id)], np.uint64))[0]
    same = owners.has(np.array([_owner(row)], np.uint64))[0]
    return row if same or not taken else row._replace(recording_id=f"{row.recording_id}~{_owner(row):016x}"[:-8])


def _content(row: Row) -> int:
    """What must be the same for a row to be done already."""
    part = (row.begin_byte, row.row_group, row.begin, row.duration, row.channel)
    return key(row.uri, *part, row.version, row.reference, row.recording_id if row.error else None)


def _owner(row: Row) -> int:
    return key(row.recording_id, row.uri, row.begin, row.duration, row.channel)
