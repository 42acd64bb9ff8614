"""Fetch the audio of recordings that name a part of storage: many at once, in order.

Small audio becomes bytes; large audio stays a `Span`, to be streamed by the decoder. Neighbours that share an object
(the segments of one long file) share one read, and one copy.
"""

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
GUESS = 1 << 20
"""What an object of unknown size counts for."""
SHARED = 256
"""Neighbours of one object that travel together, at most."""


@dataclass(frozen=True)
class Wanted:
    """Neighbours with the same audio."""

    recordings: tuple[Recording, ...]
    size: int | None
    """Bytes, where the plan knows."""


def fetched(recordings: Iterable[tuple[Recording, int | None]]) -> Iterator[Recording]:
    """Yield the recordings in order, with their audio; beside each comes its size in bytes, where it is known."""
    for done in in_order(_fetch, _groups(recordings), weight=_weight, budget=AHEAD):
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


def _weight(wanted: Wanted) -> int:
    audio = wanted.recordings[0].audio
    if isinstance(audio, bytes):
        return len(audio)
    size = _size(wanted) if audio is not None else 0
    return GUESS if size is None else 0 if size > LARGE else size


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
