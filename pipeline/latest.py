"""An output's rows as they stand now: of every recording, those of the newest generation.

A file that was changed or tried again has rows in two generations. Nothing is ever deleted: readers take the newest.
What is in a container is known only to who reads it, and may be other recordings each time. So where one has changed,
no older row of it stands; where a part of it was only tried again, none that had failed.
Eight bytes are kept for each recording that a later generation holds, and nothing for those of the first.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.inputs.rows import key
from pipeline.inputs.seen import Keys, Seen
from pipeline.output import done, generations, plan_name, transcript_name
from pipeline.planfile import Part, inputs_of, parts
from pipeline.schema import FAILED, TRANSCRIPT
from pipeline.storage import Store

ROWS = 4096
"""Read at once."""
NAME, STATUS = "recording_id", "status"
PLANNED = re.compile(r"[0-9]{6,}-")
"""How the names of shards begin. What others have put beside them is not read here: `steno verify` names it."""


def latest(store: Store, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield the rows that stand, oldest generation first, each shard's in its order."""
    for _, table in by_shard(store, columns):
        yield table


def by_shard(
    store: Store, columns: Sequence[str] | None = None, only: Collection[str] | None = None
) -> Iterator[tuple[str, pa.Table]]:
    """The same, each table after the name of its shard; of some shards only, where they are named."""
    wanted = list(columns or TRANSCRIPT.names)
    nothing = pa.schema([TRANSCRIPT.field(name) for name in wanted]).empty_table()
    shards = _by_generation(store)
    read = [*wanted, *(name for name in (NAME, STATUS) if name not in wanted)]
    newer, (changed, tried) = _newer(store, shards), _read_again(store, shards)
    for generation, names in shards.items():
        later = [seen for number, seen in newer.items() if number > generation]
        asked = names if only is None else [name for name in names if name in only]
        yield from ((shard, nothing) for shard in asked if shard in changed)
        for shard, table in _tables(store, [shard for shard in asked if shard not in changed], read):
            left = table.filter(pc.not_equal(table[STATUS], FAILED)) if shard in tried else table
            yield shard, (_standing(left, later) if later else left).select(wanted)


def superseded(store: Store) -> bool:
    """Whether there is more than one generation, so that files may hold rows that no longer stand."""
    return len(_by_generation(store)) > 1


def generation_of(shard: str) -> int:
    """The generation that planned a shard: its name begins with it."""
    return int(shard.partition("-")[0])


def _by_generation(store: Store) -> dict[int, list[str]]:
    found = defaultdict(list)
    for shard in done(store):
        if PLANNED.match(shard):
            found[generation_of(shard)].append(shard)
    return dict(sorted(found.items()))


def _read_again(store: Store, shards: dict[int, list[str]]) -> tuple[set[str], set[str]]:
    """Shards of containers that have changed, and shards that were tried again, as later generations tell.

    What a listing found changed was planned as a whole, and counts when all of it is done.
    """
    changed: set[str] = set()
    tried: set[str] = set()
    whole: set[int] = set()
    again: set[int] = set()
    planned = set(generations(store)) if len(shards) > 1 else set()
    for generation in sorted(planned.intersection(shards), reverse=True):
        listed, found = _containers(store, generation)
        there = set(shards[generation])
        changed |= {each.shard for each in found if each.container in whole}
        tried |= {each.shard for each in found if each.part in again}
        again |= {each.part for each in found if each.shard in there}
        if listed:
            missing = {each.container for each in found if each.shard not in there}
            whole |= {each.container for each in found if each.first} - missing
    return changed, tried


def _containers(store: Store, generation: int) -> tuple[bool, list[Part]]:
    """Whether a generation was planned from a listing, and its shards of containers."""
    with store.open(plan_name(generation)) as file:
        return bool(inputs_of(file)), list(parts(file))


def _newer(store: Store, shards: dict[int, list[str]]) -> dict[int, Seen]:
    """What each generation after the first holds."""
    found: dict[int, Seen] = {}
    for generation in list(shards)[1:]:
        found[generation] = Seen()
        for _, table in _tables(store, shards[generation], [NAME]):
            found[generation].take(_keys(table).tolist())
    return found


def _tables(store: Store, shards: Sequence[str], columns: list[str]) -> Iterator[tuple[str, pa.Table]]:
    for shard in shards:
        with store.open(transcript_name(shard)) as file, pq.ParquetFile(file, pre_buffer=False) as table:
            there = [name for name in columns if name in table.schema_arrow.names]
            for batch in table.iter_batches(ROWS, columns=there):
                yield shard, _whole(pa.Table.from_batches([batch]), columns)


def _whole(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """With nulls in the columns that were not known when the file was written."""
    for name in columns:
        if name not in table.column_names:
            table = table.append_column(TRANSCRIPT.field(name), pa.nulls(len(table), TRANSCRIPT.field(name).type))
    return table


def _standing(table: pa.Table, later: Sequence[Seen]) -> pa.Table:
    keys = _keys(table)
    gone: npt.NDArray[np.bool_] = np.logical_or.reduce([seen.has(keys) for seen in later])
    return table.filter(pa.array(~gone))


def _keys(table: pa.Table) -> Keys:
    return np.array([key(name) for name in table[NAME].to_pylist()], np.uint64)
