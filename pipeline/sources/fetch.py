"""Fetch the audio of recordings that name a part of storage: many at once, in order.

Small audio becomes bytes; large audio stays a `Span`, to be streamed by the decoder. Neighbours that share an object
(the segments of one long file) share one read, and one copy.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from pipeline.ahead import in_order
from pipeline.schema import Recording, Span
from pipeline.sources.blame import blame
from pipeline.storage import StoreError, open_place, parse, read_bytes

LARGE = 32 << 20
"""Bytes of an object from which it is streamed, not fetched."""
AHEAD = 128 << 20
"""Bytes that may be fetched ahead of what is used."""
LEAST = 4 << 20
"""What an object of unknown size counts for at least: were all of them suddenly large, 1 GiB would be under way."""
LATELY = 32
"""Objects that tell how large those of unknown size are."""
SHARED = 256
"""Neighbours of one object that travel together, at most."""


@dataclass(frozen=True)
class Wanted:
    """Neighbours with the same audio."""

    recordings: tuple[Recording, ...]
    size: int | None
    """Bytes, where the plan knows."""


def fetched(recordings: Iterable[tuple[Recording, int | None]]) -> Iterator[Recording]:
    """Yield the recordings in order, with their audio; beside each comes its size in bytes, where it is known.

    One of unknown size counts for as much as the largest that came of late, and at first for as much as it may be.
    """
    came: deque[int] = deque(maxlen=LATELY)

    def weight(wanted: Wanted) -> int:
        return _weight(wanted, unknown=max(LEAST, max(came, default=LARGE)))

    for done in in_order(_fetch, _groups(recordings), weight=weight, budget=AHEAD):
        came.append(_held(done[0].audio))
        yield from done


def _groups(recordings: Iterable[tuple[Recording, int | None]]) -> Iterator[Wanted]:
    for audio, group in groupby(recordings, key=lambda pair: pair[0].audio):
        size: int | None = None
        waiting: list[Recording] = []
        for recording, size in group:
            waiting.append(recording)
            if len(waiting) >= (SHARED if isinstance(audio, Span) else 1):
                yield Wanted(tuple(waiting), size)
                waiting = []
        if waiting:
            yield Wanted(tuple(waiting), size)


def _weight(wanted: Wanted, unknown: int) -> int:
    audio = wanted.recordings[0].audio
    if not isinstance(audio, Span):
        return _held(audio)
    size = _size(wanted)
    return unknown if size is None else 0 if size > LARGE else size


def _held(audio: bytes | Span | None) -> int:
    """Bytes of memory; those of a large object are fetched, too, until it is known to be one."""
    return LARGE if isinstance(audio, Span) else len(audio or b"")


def _size(wanted: Wanted) -> int | None:
    audio = wanted.recordings[0].audio
    if isinstance(audio, Span) and audio.end is not None:
        return audio.end - audio.begin
    return wanted.size


def _fetch(wanted: Wanted) -> list[Recording]:
    audio, size = wanted.recordings[0].audio, _size(wanted)
    if not isinstance(audio, Span) or (size is not None and size > LARGE):
        return list(wanted.recordings)
    try:
        content = _read(audio)
    except StoreError as error:
        failure = blame(error)
        return [replace(recording, audio=None, failure=failure) for recording in wanted.recordings]
    return [replace(recording, audio=audio if len(content) > LARGE else content) for recording in wanted.recordings]


def _read(audio: Span) -> bytes:
    """The bytes; where it is not known how many there are, no more than tell that they are too many."""
    if audio.end is not None:
        return read_bytes(audio.uri, audio.begin, audio.end)
    scheme, path = parse(audio.uri)
    return open_place(scheme).part(path, audio.begin, audio.begin + LARGE + 1, None).payload
