"""WebDataset tars: the files of one sample stand together, and share their name up to the first dot.

Audio is a recording; the `.txt` beside it what was said, the `.json` beside it what else is known. Where names have
dots of their own, so that a sample has several of these, each belongs to the audio that shares all but the last ending.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import BinaryIO

import pyarrow as pa

from pipeline.inputs.lines import Line, fields
from pipeline.inputs.nemo import member_uri
from pipeline.inputs.rows import REFERENCES, Json, extra_of, is_audio, readable
from pipeline.schema import Failure, Recording, Span
from pipeline.sources.blame import blame
from pipeline.sources.containers import Container, container, numbered
from pipeline.sources.fetch import LARGE, fetched
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
            parts = list(sample)
            left = any(isinstance(part.content, Span) and part.member.size <= LARGE for part in parts)
            found = _sample(box, parts)
            yield from fetched((each, None) for each in found) if left else found
    except StoreError as error:  # in the middle of a sample, perhaps, of which the rest would be missing
        yield box.failed("tail", blame(error))


def content(file: BinaryIO, uri: str, member: Member) -> bytes | Span:
    """The bytes of a member, or where they are if they are many."""
    if member.size > LARGE:
        return _span(uri, member)
    file.seek(member.begin)
    found = file.read(member.size)
    if len(found) != member.size:
        raise TarError(member.header, f"{member.name} ends after {len(found)} of {member.size} bytes")
    return found


def _sound(file: BinaryIO, uri: str, member: Member, held: int) -> bytes | Span:
    """Its bytes, or where they are where too many are held of its sample: a whole tar may be one, by its names."""
    return content(file, uri, member) if held <= LARGE else _span(uri, member)


def _span(uri: str, member: Member) -> Span:
    return Span(uri, member.begin, member.begin + member.size)


def _parts(box: Container) -> Iterator[Part]:
    """Yield the audio and the texts; where it cannot be read on for good, a last part that says so."""
    key, held = "", 0
    try:
        with reading(box.uri), open_input(box.uri) as file:
            for member in members(file, box.begin, box.end):
                key, held = member.key, member.size + (held if member.key == key else 0)
                if is_audio(member.name):
                    yield Part(member, None if member.failure else _sound(file, box.uri, member, held))
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
    sounds = [part for part in parts if part.member.ending not in TEXTS]
    stems = {_stem(part.member) for part in sounds}
    texts = {ending: _Texts([part for part in parts if part.member.ending == ending], stems) for ending in TEXTS}
    for part in sounds:
        member = part.member
        reference, extra = _told({ending: texts[ending].of(member) for ending in TEXTS}, box.said("reference"))
        if member.failure:
            yield replace(box.failed(member.name, member.failure), reference=reference, extra=extra)
            continue
        name, uri = f"{box.prefix}/{readable(member.name)}", member_uri(box.uri, member.name)
        yield Recording(box.shard, 0, name, uri, part.content, reference=reference, extra=extra)


class _Texts:
    """The texts of a sample that have one ending."""

    def __init__(self, parts: Sequence[Part], stems: Collection[str]) -> None:
        self._known = {_stem(part.member): part.content for part in parts}
        free = [content for stem, content in self._known.items() if stem not in stems]
        self._free = free[-1] if free else None

    def of(self, member: Member) -> bytes | Span | None:
        """What belongs to an audio: its own text, the sample's, or one that is no other audio's."""
        return self._known.get(_stem(member), self._known.get(member.key, self._free))


def _stem(member: Member) -> str:
    return member.name.removesuffix(f".{member.name.rpartition('.')[2]}")


def _told(texts: Mapping[str, bytes | Span | None], column: str | None) -> tuple[str | None, str | None]:
    """What was said and what else is known, of one sample; a `.txt` is believed before the `.json`."""
    known, text = _fields(texts.get("json")), texts.get("txt")
    if isinstance(text, bytes):
        return text.decode("utf-8-sig", "replace").strip(), extra_of(known, ())
    columns = REFERENCES if column is None else (column,)
    said = next((name for name in columns if isinstance(known.get(name), str)), None)
    return (readable(str(known[said])) if said else None), extra_of(known, (said,) if said else ())


def _fields(text: bytes | Span | None) -> Mapping[str, Json]:
    if not isinstance(text, bytes):
        return {}
    value = fields(Line(1, text.decode("utf-8-sig", "replace")))
    return {} if isinstance(value, Failure) else value
