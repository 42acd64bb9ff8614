"""An output's rows as they stand now: of every recording, those of the newest generation.

A file that was changed or tried again has rows in two generations. Nothing is ever deleted: readers take the newest.
Eight bytes are kept for each recording that a later generation holds, and nothing for those of the first.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.inputs.rows import key
from pipeline.inputs.seen import Keys, Seen
from pipeline.output import done, transcript_name
from pipeline.schema import TRANSCRIPT
from pipeline.storage import Store

ROWS = 4096
"""Read at once."""
NAME = "recording_id"


def latest(store: Store, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield the rows that stand, oldest generation first, each shard's in its order."""
    for _, table in by_shard(store, columns):
        yield table


def by_shard(
    store: Store, columns: Sequence[str] | None = None, only: Collection[str] | None = None
) -> Iterator[tuple[str, pa.Table]]:
    """The same, each table after the name of its shard; of some shards only, where they are named."""
    wanted = list(columns or TRANSCRIPT.names)
    shards = _by_generation(store)
    newer = _newer(store, shards)
    for generation, names in shards.items():
        later = [seen for number, seen in newer.items() if number > generation]
        asked = names if only is None else [name for name in names if name in only]
        for shard, table in _tables(store, asked, [*wanted, *([NAME] if NAME not in wanted else [])]):
            yield shard, (_standing(table, later) if later else table).select(wanted)


def superseded(store: Store) -> bool:
    """Whether there is more than one generation, so that files may hold rows that no longer stand."""
    return len(_by_generation(store)) > 1


def generation_of(shard: str) -> int:
    """The generation that planned a shard: its name begins with it."""
    return int(shard.partition("-")[0])


def _by_generation(store: Store) -> dict[int, list[str]]:
    found = defaultdict(list)
    for shard in done(store):
        found[generation_of(shard)].append(shard)
    return dict(sorted(found.items()))


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
