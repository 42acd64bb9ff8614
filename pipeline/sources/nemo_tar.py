"""Members of a tar that a NeMo manifest names.

The tar is read once, front to back. A member whose turn has not come is remembered by its place, not by its bytes, and
fetched when it has. NeMo writes a file of several segments once, and names all segments but the first as if they were
members: `call-sub1.wav` is another part of `call.wav`.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import unquote

import pyarrow as pa

from pipeline.schema import Failure, Recording, Span
from pipeline.sources.blame import blame
from pipeline.sources.fetch import fetched
from pipeline.sources.loose import placed, planned
from pipeline.sources.webdataset import content
from pipeline.storage import StoreError, open_input
from pipeline.stores.errors import reading
from pipeline.tars import Member, TarError, members, plain

SUB = re.compile(r"-sub[0-9]+(?=(\.[^./]*)?$)")


def read(rows: pa.Table) -> Iterator[Recording]:
    """Yield the recordings of the rows, in their order."""
    return fetched((recording, None) for recording in _read(rows))


def _read(rows: pa.Table) -> Iterator[Recording]:
    tar = rows["uri"][0].as_py().rpartition("#")[0]
    turns = deque(_wanted(rows))
    places: dict[str, Member] = {}
    failure = Failure("NotFound", "sources", f"{tar} has no such member")
    try:
        with reading(tar), open_input(tar) as file:
            for member in members(file):
                places.setdefault(member.name, member)
                if turns and turns[0][0] == member.name:
                    sound = None if member.failure else content(file, tar, member)
                    while turns and turns[0][0] == member.name:
                        yield _of(turns.popleft()[1], member, sound)
                while turns and (known := places.get(turns[0][0])):
                    yield _of(turns.popleft()[1], known, _span(tar, known))
        # only at the end is it known that no member is really called so
        turns = deque((name if name in places else SUB.sub("", name), recording) for name, recording in turns)
    except TarError as error:
        failure = Failure("Truncated", "sources", f"{tar}: {error.message}")
    except StoreError as error:
        failure = blame(error)
    for name, recording in turns:
        known = places.get(name)
        yield _of(recording, known, _span(tar, known)) if known else replace(recording, failure=failure)


def _wanted(rows: pa.Table) -> Iterator[tuple[str, Recording]]:
    """Yield each recording after the name of its member."""
    for place, row in placed(rows):
        yield plain(unquote(row.uri.rpartition("#")[2])), planned(place, row, None)


def _span(tar: str, member: Member) -> Span:
    return Span(tar, member.begin, member.begin + member.size)


def _of(recording: Recording, member: Member, audio: bytes | Span | None) -> Recording:
    return replace(recording, audio=None if member.failure else audio, failure=member.failure)
