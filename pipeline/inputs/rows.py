"""A row of the plan, before it has a shard.

A row with a `recording_id` is a recording. One without is a container: what is in it is known when it is read.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

import pyarrow as pa

from pipeline.schema import PLAN
from pipeline.stores.errors import scrub, scrubbed

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

REFERENCES = ("text", "sentence", "normalized_text", "transcript", "transcription")
"""Where inputs keep what was said, in the order of trust."""

AUDIO = frozenset(
    {
        *("wav", "wave", "bwf", "rf64", "w64", "flac", "mp3", "mp2", "m2a", "mpa", "ogg", "oga", "opus", "spx", "m4a"),
        *("m4b", "m4r", "aac", "ac3", "eac3", "ec3", "amr", "awb", "wma", "ape", "tta", "wv", "aif", "aiff", "aifc"),
        *("au", "snd", "caf", "sph", "nist", "8svx", "svx", "avr", "paf", "pvf", "sds", "sf", "voc", "wve", "xi"),
        *("mp4", "m4v", "f4v", "isma", "ismv", "mj2", "mov", "3gp", "3g2", "webm", "mka", "mkv", "mk3d", "ogv"),
        *("asf", "wmv", "avi", "flv", "m2t", "m2ts"),
    }
)
"""Name endings of audio, and of films that hold some. What others use for something else is left out, though it may be
audio: `htk` (features), `iff` (pictures), `mat` (matrices), `mpc`, `raw`, `mts` and `ts` (source text)."""


class Row(NamedTuple):
    """One recording or one container, as the input tells it. The columns are those of the plan."""

    recording_id: str | None
    uri: str
    begin_byte: int | None = None
    end_byte: int | None = None
    row_group: int | None = None
    begin: float | None = None
    duration: float | None = None
    channel: int | None = None
    bytes: int | None = None
    version: str | None = None
    reference: str | None = None
    extra: str | None = None
    error: Mapping[str, str] | None = None


def poisoned(recording_id: str, uri: str, kind: str, message: str) -> Row:
    """A row that ends as a failed recording. What it names is not opened, and may be an address with credentials."""
    error = {"class": kind, "stage": "plan", "message": scrub(readable(message))}
    return Row(scrub(readable(recording_id)), scrub(readable(uri)), error=error)


def readable(text: str) -> str:
    """The text as a table can hold it: what is not UTF-8 is spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def is_text(name: str) -> bool:
    """Whether a table can hold the name as it is."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_audio(name: str) -> bool:
    """Whether the name ends like audio."""
    return name.rpartition(".")[2].lower() in AUDIO


def reference_of(fields: Mapping[str, Json]) -> str | None:
    """What was said, by the first column that is known to hold it."""
    for column in REFERENCES:
        value = fields.get(column)
        if isinstance(value, str):
            return readable(value)
    return None


def extra_of(fields: Mapping[str, Json], known: Iterable[str]) -> str | None:
    """The fields that are not known here, as a JSON object; numbers that JSON does not have become text."""
    rest = {name: value for name, value in fields.items() if name not in known}
    if not rest:
        return None
    text = json.dumps(scrubbed(rest), ensure_ascii=False, default=str)
    if "NaN" in text or "Infinity" in text:
        text = json.dumps(json.loads(text, parse_constant=str), ensure_ascii=False)
    return readable(text)


def key(*parts: str | float | None) -> int:
    """Eight bytes that stand for the parts."""
    text = "\0".join(["" if part is None else str(part) for part in parts])
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def table(shard: str, form: str, rows: Sequence[Row]) -> pa.Table:
    """The rows of one shard, in the plan's columns."""
    count = len(rows)
    columns = dict(zip(Row._fields, zip(*rows, strict=True), strict=True))
    columns |= {"shard": (shard,) * count, "format": (form,) * count, "ordinal": tuple(range(count))}
    return pa.table([pa.array(columns[field.name], field.type) for field in PLAN], schema=PLAN)


def unpacked(table: pa.Table) -> Iterator[tuple[str, Row]]:
    """Yield the rows of a table of the plan, each after its format."""
    columns = [table[name].to_pylist() for name in Row._fields]
    for form, *values in zip(table["format"].to_pylist(), *columns, strict=True):
        yield form, Row(*values)
