"""Write one shard's transcripts as one Parquet file: the file is the commit.

It is serialised whole in memory, since a writer that streams and fails leaves half an object that looks like one. It is
checked against the shard's census, since what an engine says it delivered is no evidence. And it is created only where
nothing stands: whoever comes second reads what is there and goes on.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.output import transcript_name
from pipeline.schema import STATUSES, TRANSCRIPT
from pipeline.storage import Store, StoreError
from pipeline.stores.errors import UNSUPPORTED

Key = tuple[int, int | None]
"""A row of a shard: a recording's ordinal, and its channel where channels are read apart."""

ORDINAL = pa.field("ordinal", pa.int32(), nullable=False)
GATHERED = pa.schema([ORDINAL, *TRANSCRIPT])
"""What `commit` takes: the table that users hold, and the ordinal that it is checked by."""

FORMAT_VERSION = 1
READERS = 32
"""Footers that are read at once."""
PREFIX = "stenopool."
SMALL = 8 << 10
"""Bytes of a table up to which compression takes longer than all else and saves a few per cent, if anything."""
ROW_GROUP_BYTES, FEWEST_ROWS, MOST_ROWS = 32 << 20, 1_000, 65_536
"""A row group: about so many bytes of memory, within these numbers of rows."""
NAMED = 5
"""How many rows of each sort an error names."""


@dataclass(frozen=True)
class Stamp:
    """What a file says about its making."""

    fingerprint: str
    """Of the model and the options: `Identity.fingerprint`."""
    run_id: str
    """The run that wrote it."""
    generation: int
    """Of the plan."""


@dataclass(frozen=True)
class Footer:
    """What is known of a finished shard without reading its rows."""

    stamp: Stamp
    counts: dict[str, int]
    """Rows by status, every status named."""
    seconds: float
    """Of audio, over all rows."""
    rows: int


@dataclass(frozen=True)
class Committed:
    """The file is there now, and is ours."""

    footer: Footer
    size: int
    """Bytes."""


@dataclass(frozen=True)
class AlreadyThere:
    """Another run, or an earlier attempt, has written it; what there was to write is dropped."""

    footer: Footer


class Unbalanced(Exception):  # noqa: N818
    """The rows are not the shard's."""

    def __init__(
        self, shard: str, missing: Collection[Key], doubled: Collection[Key], unknown: Collection[Key]
    ) -> None:
        self.shard, self.missing, self.doubled, self.unknown = shard, missing, doubled, unknown
        sorts = [("missing", missing), ("more than once", doubled), ("not in the plan", unknown)]
        said = "; ".join(f"{len(keys)} {sort} ({named(keys)})" for sort, keys in sorts if keys)
        super().__init__(f"shard {shard} does not balance: {said}")


class CommittedElsewhereError(Exception):
    """The shard's file was written by another model or with other options."""


def commit(
    store: Store, shard: str, table: pa.Table, expected: Collection[Key], stamp: Stamp
) -> Committed | AlreadyThere:
    """Check the rows (`GATHERED`, in any order) against the shard's census and write them, unless that is done."""
    balance(shard, keys(table), expected)
    ordered = arrange(table)
    footer = describe(ordered, stamp)
    payload = serialise(ordered, footer)
    if store.create(transcript_name(shard), payload):
        return Committed(footer, len(payload))
    there = read_footer(store, shard)
    if there.stamp.fingerprint != stamp.fingerprint:
        raise CommittedElsewhereError(
            f"{store.url}/{transcript_name(shard)} was written by run {there.stamp.run_id} with another model or other "
            f"options (fingerprint {there.stamp.fingerprint}, this run's is {stamp.fingerprint}): use another output"
        )
    return AlreadyThere(there)


def balance(shard: str, rows: Iterable[Key], expected: Collection[Key]) -> None:
    """Every expected row exactly once and no other, or `Unbalanced` says which."""
    found, wanted = Counter(rows), set(expected)
    missing, unknown = wanted - found.keys(), found.keys() - wanted
    doubled = {key for key, times in found.items() if times > 1}
    if missing or doubled or unknown:
        raise Unbalanced(shard, in_order(missing), in_order(doubled), in_order(unknown))


def keys(table: pa.Table) -> list[Key]:
    """What each row is."""
    return list(zip(table.column("ordinal").to_pylist(), table.column("channel").to_pylist(), strict=True))


def arrange(table: pa.Table) -> pa.Table:
    """The rows in the plan's order, however they arrived, as the table that users hold."""
    order = pc.sort_indices(table, sort_keys=[("ordinal", "ascending"), ("channel", "ascending")])
    return table.take(order).select(TRANSCRIPT.names).cast(TRANSCRIPT)


def describe(table: pa.Table, stamp: Stamp) -> Footer:
    """Count what the file will say of itself."""
    found = Counter(table.column("status").to_pylist())
    strange = found.keys() - set(STATUSES)
    if strange:
        raise ValueError(f"no such status: {sorted(strange)}")
    seconds = pc.sum(table.column("seconds")).as_py() or 0.0
    return Footer(stamp, {status: found[status] for status in STATUSES}, float(seconds), table.num_rows)


def serialise(table: pa.Table, footer: Footer) -> bytes:
    """The whole file."""
    metadata = {
        "format": str(FORMAT_VERSION),
        "fingerprint": footer.stamp.fingerprint,
        "run_id": footer.stamp.run_id,
        "generation": str(footer.stamp.generation),
        "counts": json.dumps(footer.counts),
        "seconds": repr(footer.seconds),
    }
    marked = table.replace_schema_metadata({PREFIX + name: value for name, value in metadata.items()})
    sink, packed = pa.BufferOutputStream(), "zstd" if table.nbytes > SMALL else "none"
    with pq.ParquetWriter(
        sink, marked.schema, compression=packed, write_statistics=True, write_page_index=True
    ) as writer:
        if table.num_rows:  # an empty group of rows is more than some readers can bear
            writer.write_table(marked, row_group_size=row_group(table))
    payload: bytes = sink.getvalue().to_pybytes()
    return payload


def row_group(table: pa.Table) -> int:
    """Rows of a group."""
    each = max(1, table.nbytes // max(1, table.num_rows))
    return min(MOST_ROWS, max(FEWEST_ROWS, ROW_GROUP_BYTES // each))


def read_footer(store: Store, shard: str) -> Footer:
    """What a finished shard says of itself, by reading its end only."""
    name = transcript_name(shard)
    try:
        with store.open(name) as file:
            found = pq.read_metadata(file)
    except pa.ArrowInvalid as error:
        raise StoreError(UNSUPPORTED, f"{store.url}/{name} is not a Parquet file ({error}): remove it") from None
    said = {key.decode(): value.decode() for key, value in (found.metadata or {}).items() if key != b"ARROW:schema"}
    return reading(f"{store.url}/{name}", lambda key: said[PREFIX + key], found.num_rows)


def read_footers(store: Store, shards: Sequence[str]) -> dict[str, Footer]:
    """What each of these says of itself; many are asked at once, as each is one small request."""
    with ThreadPoolExecutor(READERS) as pool:
        return dict(zip(shards, pool.map(partial(read_footer, store), shards), strict=True))


def reading(where: str, entry: Callable[[str], str], rows: int) -> Footer:
    """The footer that the metadata spells."""
    try:
        stamp = Stamp(entry("fingerprint"), entry("run_id"), int(entry("generation")))
        return Footer(stamp, json.loads(entry("counts")), float(entry("seconds")), rows)
    except KeyError as error:
        raise StoreError(UNSUPPORTED, f"{where} was not written by this program (no {error}): remove it") from None


def in_order(rows: Iterable[Key]) -> list[Key]:
    """By ordinal, then channel."""
    return sorted(rows, key=lambda key: (key[0], -1 if key[1] is None else key[1]))


def named(rows: Collection[Key]) -> str:
    """The first few, in words."""
    shown = [f"recording {ordinal}" + ("" if channel is None else f" channel {channel}") for ordinal, channel in rows]
    return ", ".join(shown[:NAMED]) + (", ..." if len(shown) > NAMED else "")
