"""Lhotse Shar: a file of cuts, and a tar with the audio of each, in the same order.

The audio is the cut's own: what the cut says of its start and its channel was done when it was written.
"""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from pipeline.inputs.lhotse import told
from pipeline.inputs.lines import Line, fields, lines
from pipeline.inputs.nemo import member_uri
from pipeline.inputs.rows import is_text
from pipeline.schema import Failure, Recording, Span
from pipeline.sources.blame import blame
from pipeline.sources.containers import Container, container, numbered
from pipeline.sources.fetch import fetched
from pipeline.sources.webdataset import content
from pipeline.storage import StoreError, open_input
from pipeline.stores.errors import reading
from pipeline.tars import Member, TarError, members

NOTHING = ".nodata"
"""How a member is named that stands for a cut without audio."""


def read(rows: pa.Table) -> Iterator[Recording]:
    """Yield a recording per cut."""
    box = container(rows)
    return fetched((recording, None) for recording in numbered(_read(box)))


def _read(box: Container) -> Iterator[Recording]:
    audio = _Audio(box.uri)
    try:
        for line in lines(str(box.inside["cuts"])):
            yield _recording(box, line, audio)
    except StoreError as error:
        yield box.failed("cuts", blame(error))
    finally:
        audio.close()


def _recording(box: Container, line: Line, audio: "_Audio") -> Recording:
    cut = fields(line)
    if isinstance(cut, Failure):
        return box.failed(f"line={line.number}", cut)
    name = cut.get("id")
    if not isinstance(name, str) or not is_text(name):
        return box.failed(f"line={line.number}", Failure("BadLine", "sources", "the cut has no id"))
    found = audio.of(name)
    reference, extra = told(cut)
    if isinstance(found, Failure):
        return replace(box.failed(name, found), reference=reference, extra=extra)
    member, sound = found
    uri = member_uri(box.uri, member.name)
    return Recording(box.shard, 0, f"{box.prefix}/{name}", uri, sound, reference=reference, extra=extra)


class _Audio:
    """The members of the tar by the id of their cut: read on as far as it takes to find one."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._places: dict[str, Member] = {}
        self._failure = Failure("NotFound", "sources", f"{uri} has no audio of this cut")
        try:
            self._file = open_input(uri)
            self._rest = members(self._file)
        except StoreError as error:
            self._fail(blame(error))

    def of(self, name: str) -> tuple[Member, bytes | Span] | Failure:
        """The audio of a cut."""
        if known := self._places.pop(name, None):
            return self._taken(known, Span(self._uri, known.begin, known.begin + known.size))
        try:
            with reading(self._uri):
                for member in self._rest:
                    if member.ending == "json":
                        continue
                    stem = member.name.removesuffix(f".{member.name.rpartition('.')[2]}")
                    if stem == name:
                        return self._taken(member, None)
                    self._places[stem] = member
        except TarError as error:
            self._fail(Failure("Truncated", "sources", f"{self._uri}: {error.message}"))
        except StoreError as error:
            self._fail(blame(error))
        return self._failure

    def close(self) -> None:
        """Let go of the tar."""
        if hasattr(self, "_file"):
            self._file.close()

    def _taken(self, member: Member, span: Span | None) -> tuple[Member, bytes | Span] | Failure:
        if member.name.endswith(NOTHING):
            return Failure("NoAudio", "sources", "the cut was written without audio")
        return member.failure or (member, span or content(self._file, self._uri, member))

    def _fail(self, failure: Failure) -> None:
        self._failure = failure
        self._rest = iter(())
