"""WebDataset tars: the files of one sample stand together, and share their name up to the first dot.

Audio is a recording; the `.txt` beside it what was said, the `.json` beside it what else is known.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import BinaryIO

import pyarrow as pa

from pipeline.inputs.lines import Line, fields
from pipeline.inputs.nemo import member_uri
from pipeline.inputs.rows import REFERENCES, Json, extra_of, is_audio, readable
from pipeline.schema import Failure, Recording, Span
from pipeline.sources.blame import blame
from pipeline.sources.containers import Container, container, numbered
from pipeline.sources.fetch import LARGE
from pipeline.storage import StoreError, open_input
from pipeline.stores.errors import reading
from pipeline.tars import Member, TarError, members

LONGEST_TEXT = 4 << 20
"""Bytes of a text beside the audio."""
TEXTS = ("txt", "json")


@dataclass(frozen=True)
class Part:
    """A member that matters here, with its content where it is not large."""

    member: Member
    content: bytes | Span | None


def read(rows: pa.Table) -> Iterator[Recording]:
    """Yield the recordings of a tar, or of a stretch of it; where it cannot be read on, a last one says so."""
    return numbered(_read(container(rows)))


def _read(box: Container) -> Iterator[Recording]:
    try:
        for _, sample in groupby(_parts(box), key=lambda part: part.member.key):
            yield from _sample(box, list(sample))
    except StoreError as error:  # in the middle of a sample, perhaps, of which the rest would be missing
        yield box.failed("tail", blame(error))


def content(file: BinaryIO, uri: str, member: Member) -> bytes | Span:
    """The bytes of a member, or where they are if they are many."""
    if member.size > LARGE:
        return Span(uri, member.begin, member.begin + member.size)
    file.seek(member.begin)
    found = file.read(member.size)
    if len(found) != member.size:
        raise TarError(member.header, f"{member.name} ends after {len(found)} of {member.size} bytes")
    return found


def _parts(box: Container) -> Iterator[Part]:
    """Yield the audio and the texts; where it cannot be read on for good, a last part that says so."""
    try:
        with reading(box.uri), open_input(box.uri) as file:
            for member in members(file, box.begin, box.end):
                if is_audio(member.name):
                    yield Part(member, None if member.failure else content(file, box.uri, member))
                elif member.ending in TEXTS and not member.failure and member.size <= LONGEST_TEXT:
                    yield Part(member, content(file, box.uri, member))
    except TarError as error:
        yield _tail(f"tail@{error.at}", Failure("Truncated", "sources", f"{box.uri}: {error.message}"))
    except StoreError as error:
        if not error.lasting:
            raise
        yield _tail("tail", blame(error))


def _tail(name: str, failure: Failure) -> Part:
    return Part(Member(name, 0, 0, 0, failure), None)


def _sample(box: Container, parts: Sequence[Part]) -> Iterator[Recording]:
    texts = {part.member.ending: part.content for part in parts if part.member.ending in TEXTS}
    reference, extra = _told(texts, box.said("reference"))
    for part in parts:
        member = part.member
        if member.ending in TEXTS:
            continue
        if member.failure:
            yield box.failed(member.name, member.failure)
            continue
        name, uri = f"{box.prefix}/{readable(member.name)}", member_uri(box.uri, member.name)
        yield Recording(box.shard, 0, name, uri, part.content, reference=reference, extra=extra)


def _told(texts: Mapping[str, bytes | Span | None], column: str | None) -> tuple[str | None, str | None]:
    """What was said and what else is known, of one sample; a `.txt` is believed before the `.json`."""
    known, text = _fields(texts.get("json")), texts.get("txt")
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace").strip(), extra_of(known, ())
    columns = REFERENCES if column is None else (column,)
    said = next((name for name in columns if isinstance(known.get(name), str)), None)
    return (readable(str(known[said])) if said else None), extra_of(known, (said,) if said else ())


def _fields(text: bytes | Span | None) -> Mapping[str, Json]:
    if not isinstance(text, bytes):
        return {}
    value = fields(Line(1, text.decode("utf-8", "replace")))
    return {} if isinstance(value, Failure) else value
