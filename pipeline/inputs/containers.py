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
from pipeline.inputs.lines import note
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
)
"""Parquet columns that may hold audio or name it, in the order of trust."""
BYTES_COLUMNS = ("bytes", "content")
"""What other programs (Ray Data, Spark) call the bytes of files."""
PATH_COLUMNS = ("path", "file", "uri", "url")
"""Columns that name audio where no other holds it: beside bytes they say where these came from."""
OURS = b"stenopool."
"""How the keys in the footers of tables begin that an output consists of."""
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
    if told.ours and rules.format is None:
        note(f"{root}: tables that steno has written lie there; they are no input, and are passed over")
        return
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
    ours: bool = False
    """Whether it is a table of an output, whose rows name audio, too."""


def _columns(uri: str, rules: PlanRules) -> _Told:
    try:
        with open_input(uri) as file, pq.ParquetFile(file) as table:
            audio, reference = audio_columns(table.schema_arrow, rules.audio_column, rules.reference_column)
            parts = [table.metadata.row_group(group) for group in range(table.num_row_groups)]
            groups = [(part.total_byte_size, part.num_rows) for part in parts]
            ours = any(key.startswith(OURS) for key in table.metadata.metadata or {})
    except (StoreError, OSError, pa.ArrowException):
        return _Told(
            {"audio": rules.audio_column, "reference": rules.reference_column} if rules.audio_column else {}, ()
        )
    return _Told({"audio": audio, "reference": reference}, groups, ours)


def audio_columns(schema: pa.Schema, audio: str | None, reference: str | None) -> tuple[str | None, str | None]:
    """Which columns hold the audio and what was said: the user's, those that `datasets` marks, or known names."""
    names = schema.names
    kinds = {field.name: _plain(field.type) for field in schema if names.count(field.name) == 1}
    marked = [name for name, feature in _features(schema).items() if _is_audio_feature(feature)]
    structs = [name for name, kind in kinds.items() if _is_audio_struct(kind)]
    held = [name for name in (*AUDIO_COLUMNS, *BYTES_COLUMNS, *PATH_COLUMNS) if _holds_sound(kinds.get(name))]
    named = [audio] if audio else [*marked, *held, *AUDIO_COLUMNS, *structs, *PATH_COLUMNS]
    found = next((name for name in named if _holds_audio(kinds.get(name))), None)
    texts = [reference] if reference else REFERENCES
    said = next((name for name in texts if _is_text(kinds.get(name))), None)
    return found, said


def _features(schema: pa.Schema) -> Mapping[str, object]:
    try:
        told = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        return dict(told["info"]["features"])
    except (ValueError, KeyError, TypeError):
        return {}


def _is_audio_feature(feature: object) -> bool:
    return isinstance(feature, dict) and feature.get("_type") == "Audio"


def _plain(kind: pa.DataType) -> pa.DataType:
    """What the values are, however they are kept: categories are written as dictionaries."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_audio_struct(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and {"bytes", "path"} <= {kind.field(at).name for at in range(kind.num_fields)}


def _holds_sound(kind: pa.DataType | None) -> bool:
    tests = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return kind is not None and (_is_audio_struct(kind) or any(test(kind) for test in tests))


def _holds_audio(kind: pa.DataType | None) -> bool:
    return _holds_sound(kind) or _is_text(kind)


def _is_text(kind: pa.DataType | None) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return kind is not None and any(test(kind) for test in tests)
