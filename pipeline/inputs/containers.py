"""Files that hold many recordings: tars and Parquet. Each is a shard of its own; a large one is several.

`extra` of such a row is ours: `prefix` begins the ids of its recordings, the rest is what the reader must know.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.inputs.found import Found, PlanRules
from pipeline.inputs.paths import folder_of, name_of, within
from pipeline.inputs.rows import REFERENCES, Json, Row, key
from pipeline.inputs.seen import Seen
from pipeline.storage import Entry, StoreError, open_input
from pipeline.tars import Member, TarError, members

TAR, PARQUET = "webdataset", "parquet"
AUDIO_COLUMNS = (
    "audio",
    "wav",
    "flac",
    "mp3",
    "audio_filepath",
    "audio_path",
    "audio_bytes",
    "path",
    "file",
    "uri",
    "url",
)
"""Parquet columns that may hold audio, in the order of trust."""
ROWS = "rows"
"""Where `extra` says how many recordings there are, if that is known."""
PARTS = 4
"""About as many shards does the smallest tar make that is split."""


def tar_rows(found: Found) -> Iterator[tuple[str, Row]]:
    """Yield the shards of tars."""
    for entry in found.entries:
        yield from ((TAR, row) for row in tar_shards(entry, found.uri, found.rules))


def parquet_rows(found: Found) -> Iterator[tuple[str, Row]]:
    """Yield the shards of Parquet files."""
    for entry in found.entries:
        yield from ((PARQUET, row) for row in parquet_shards(entry, found.uri, found.rules))


def prefix(uri: str, root: str) -> str:
    """What the ids of the recordings in a container begin with: its path from the input's folder on."""
    below = within(uri, root)
    return f"{name_of(root)}/{below}" if below is not None else name_of(uri)


def tar_shards(entry: Entry, root: str, rules: PlanRules) -> Iterator[Row]:
    """Yield one row per tar, or one per stretch of its members."""
    inside: dict[str, Json] = {"prefix": prefix(entry.uri, root)}
    if rules.reference_column:
        inside["reference"] = rules.reference_column
    whole = Row(None, entry.uri, bytes=entry.size, version=entry.version, extra=json.dumps(inside))
    cuts = _cuts(entry.uri, rules.tar_bytes // PARTS) if entry.size > rules.tar_bytes else []
    if len(cuts) < 3:
        yield whole
        return
    for begin, end in pairwise(cuts):
        yield whole._replace(begin_byte=begin, end_byte=end, bytes=end - begin)


def _cuts(uri: str, size: int) -> list[int]:
    """Headers at which to split: never inside a sample, and nowhere where a name stands twice or a header is broken."""
    cuts, seen, last = [0], Seen(), None
    try:
        with open_input(uri) as file:
            for member in members(file):
                if not seen.take([key(member.name)])[0]:
                    return []
                if member.header - cuts[-1] >= size and member.key != _key(last):
                    cuts.append(member.header)
                last = member
    except (TarError, StoreError):
        return []
    return [*cuts, last.begin + last.size] if last else []


def _key(member: Member | None) -> str | None:
    return member.key if member else None


def parquet_shards(entry: Entry, root: str, rules: PlanRules) -> Iterator[Row]:
    """Yield one row per file, or one per row group of a large file."""
    told = _columns(entry.uri, rules)
    roots = [folder_of(entry.uri), *rules.roots]
    inside: dict[str, Json] = {"prefix": prefix(entry.uri, root), "roots": roots, **told.names}
    whole = Row(None, entry.uri, bytes=entry.size, version=entry.version, extra=json.dumps(inside))
    if entry.size <= rules.parquet_bytes or len(told.groups) < 2:
        known = {ROWS: sum(count for _, count in told.groups)} if told.groups else {}
        yield whole._replace(extra=json.dumps(inside | known))
        return
    for group, (size, count) in enumerate(told.groups):
        yield whole._replace(row_group=group, bytes=size, extra=json.dumps(inside | {ROWS: count}))


@dataclass(frozen=True)
class _Told:
    """What a footer tells."""

    names: Mapping[str, str | None]
    """The columns of `audio` and `reference`; none where the footer cannot be read, which the reader then tells."""
    groups: Sequence[tuple[int, int]]
    """Bytes and rows of the row groups."""


def _columns(uri: str, rules: PlanRules) -> _Told:
    try:
        with open_input(uri) as file, pq.ParquetFile(file) as table:
            audio, reference = audio_columns(table.schema_arrow, rules.audio_column, rules.reference_column)
            parts = [table.metadata.row_group(group) for group in range(table.num_row_groups)]
            groups = [(part.total_byte_size, part.num_rows) for part in parts]
    except (StoreError, OSError, pa.ArrowException):
        return _Told(
            {"audio": rules.audio_column, "reference": rules.reference_column} if rules.audio_column else {}, ()
        )
    return _Told({"audio": audio, "reference": reference}, groups)


def audio_columns(schema: pa.Schema, audio: str | None, reference: str | None) -> tuple[str | None, str | None]:
    """Which columns hold the audio and what was said: the user's, those that `datasets` marks, or known names."""
    marked = [name for name, feature in _features(schema).items() if _is_audio_feature(feature)]
    structs = [field.name for field in schema if _is_audio_struct(field.type)]
    named = [audio] if audio else [*marked, *AUDIO_COLUMNS, *structs]
    found = next((name for name in named if name in schema.names and _holds_audio(schema.field(name).type)), None)
    texts = [reference] if reference else REFERENCES
    said = next((name for name in texts if name in schema.names and _is_text(schema.field(name).type)), None)
    return found, said


def _features(schema: pa.Schema) -> Mapping[str, object]:
    try:
        told = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        return dict(told["info"]["features"])
    except (ValueError, KeyError, TypeError):
        return {}


def _is_audio_feature(feature: object) -> bool:
    return isinstance(feature, dict) and feature.get("_type") == "Audio"


def _is_audio_struct(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and {"bytes", "path"} <= {kind.field(at).name for at in range(kind.num_fields)}


def _holds_audio(kind: pa.DataType) -> bool:
    return _is_audio_struct(kind) or _is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
