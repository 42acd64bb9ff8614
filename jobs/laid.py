"""What `steno align` found of the recordings of another output, by recording and channel.

Some fifty bytes are kept of each. Where nothing was aligned, nothing is said.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.finished import Finished, opened
from pipeline.inputs.rows import key
from pipeline.inputs.seen import Keys
from pipeline.latest import latest
from pipeline.schema import TRANSCRIPT
from pipeline.storage import Store

COLUMNS = ("ctc_loss", "alignment")
"""What is found."""
NAMES = ("recording_id", "channel")
"""By what."""
SCHEMA = pa.schema([pa.field("key", pa.uint64()), *(TRANSCRIPT.field(name) for name in COLUMNS)])


@dataclass(frozen=True)
class Laid:
    """An output of `steno align`."""

    keys: Keys
    """Sorted."""
    table: pa.Table
    """The columns, in the order of the keys."""

    def beside(self, rows: pa.Table) -> tuple[pa.Table, int]:
        """Rows with what was found of them in those columns where they have nothing, and how many were not found."""
        keys = _keys(rows)
        places = np.searchsorted(self.keys, keys).clip(max=max(0, len(self.keys) - 1))
        found = self.keys[places] == keys if len(self.keys) else np.zeros(len(keys), bool)
        chosen = self.table.take(pa.array(places, mask=~found))
        for name in COLUMNS:
            at, theirs = rows.schema.get_field_index(name), chosen[name]
            rows = rows.set_column(at, TRANSCRIPT.field(name), pc.coalesce(rows[name], theirs))
        texts = pc.fill_null(pc.not_equal(rows["text"], ""), fill_value=False).to_numpy()
        return rows, int((texts & ~found).sum())


def laid_by(output: str) -> tuple[Finished, list[str]]:
    """An output to read, and what is wrong with it."""
    found = opened(output)
    return found, [] if found.job == "align" else [
        f"alignment is {output}, which steno {found.job} wrote: name an output of steno align"
    ]


def read_laid(store: Store) -> Laid:
    """All of an output."""
    table = pa.Table.from_batches(_batches(latest(store, [*NAMES, *COLUMNS])), SCHEMA).sort_by("key")
    return Laid(table["key"].to_numpy(), table.combine_chunks())


def _batches(tables: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
    for rows in tables:
        known = rows.filter(pc.is_valid(rows["ctc_loss"]))
        columns = [pa.array(_keys(known)), *(known[name] for name in COLUMNS)]
        yield from pa.table(columns, schema=SCHEMA).to_batches()


def _keys(rows: pa.Table) -> Keys:
    names = zip(*(rows[name].to_pylist() for name in NAMES), strict=True)
    return np.array([key(*name) for name in names], np.uint64)
