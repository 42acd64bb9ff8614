"""Containers that are a row of named chunks: WAV and its large forms, AIFF, CAF, AVI, ASF. Where their audio lies."""

import struct
from dataclasses import dataclass

from pipeline.audio.source import Source

SLACK = 64
"""Bytes that a header may promise too many: writers forget to subtract their own header."""
MOST_CHUNKS = 10_000


@dataclass(frozen=True)
class Layout:
    """Where the audio lies in its file."""

    name: str
    """The format, as a user knows it."""
    begin: int = 0
    """First byte of the audio."""
    end: int | None = None
    """One past its last byte, where the header promises that."""
    whole: bool | None = None
    """Whether the file holds what was promised; None where nothing was."""
    streams: bool = False
    """Whether the length was left open, or libsndfile would stop before the end of the file."""
    tailed: bool = False
    """Whether what stands behind `end` is known to be no audio, and confuses decoders."""


@dataclass(frozen=True)
class Chunks:
    """How a family of containers writes its chunks: an id, then a size."""

    name: int
    """Bytes of the id."""
    size: str
    """The size, as `struct` reads it."""
    counted: bool = False
    """Whether the size counts the chunk's own header."""
    align: int = 1


RIFF, RIFX, FORM = Chunks(4, "<I", align=2), Chunks(4, ">I", align=2), Chunks(4, ">I", align=2)
CAF, WAVE64 = Chunks(4, ">q"), Chunks(16, "<Q", counted=True, align=8)
ASF, ASF_DATA = Chunks(16, "<Q", counted=True), bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")


def promised(source: Source, name: str, begin: int, size: int) -> Layout:
    """Compare what a header says of the audio's place with the length of the file."""
    end = begin + size
    return Layout(name, begin, end, whole=end <= source.size + SLACK)


def _find(source: Source, at: int, shape: Chunks, wanted: bytes) -> tuple[int, int] | None:
    """Where a chunk's content begins, and its size."""
    header = shape.name + struct.calcsize(shape.size)
    for _ in range(MOST_CHUNKS):
        entry = source.at(at, header)
        if len(entry) < header:
            return None
        (size,) = struct.unpack(shape.size, entry[shape.name :])
        if entry.startswith(wanted):
            return at + header, size - header * shape.counted
        at += max(header, size + header * (not shape.counted))
        at += -at % shape.align
    return None


def wave(source: Source) -> Layout:
    """WAV, RF64 and BW64."""
    shape = RIFX if source.at(0, 4) == b"RIFX" else RIFF
    found = _find(source, 12, shape, b"data")
    if found is None:
        return Layout("WAV", whole=False if _find(source, 12, shape, b"fmt ") else None)
    begin, size = found
    if size == 0 and begin < source.size and not _ends_with_chunk(source, begin, shape):
        return Layout("WAV", begin, streams=True)
    if source.at(0, 4) in (b"RF64", b"BW64"):
        size = int.from_bytes(source.at(28, 8), "little")
        if size == 0 and begin < source.size and not _ends_with_chunk(source, begin, shape):
            return Layout("WAV", begin, whole=False)  # whoever wrote it did not come to count, and no decoder reads on
    elif open_ended(size) and begin + size > source.size:
        return Layout("WAV", begin)
    return promised(source, "WAV", begin, size)


def _ends_with_chunk(source: Source, at: int, shape: Chunks) -> bool:
    """Whether notes follow empty audio, rather than audio that nobody counted."""
    entry = source.at(at, 8)
    return len(entry) == 8 and at + 8 + struct.unpack(shape.size, entry[4:])[0] == source.size


def open_ended(size: int) -> bool:
    """The sizes that programs write when they cannot know: about 2^31 or 2^32, less a header."""
    return size == 0 or -4200 <= size - 2**31 < 2 or size >= 2**32 - 256


def aiff(source: Source) -> Layout:
    """AIFF and AIFC."""
    found = _find(source, 12, FORM, b"SSND")
    if found is None or open_ended(found[1]):
        return Layout("AIFF", whole=False if found is None else None)
    return promised(source, "AIFF", *found)


def caf(source: Source) -> Layout:
    """Apple's CAF."""
    found = _find(source, 8, CAF, b"data")
    if found is None or found[1] < 0:
        return Layout("CAF", whole=False if found is None else None)
    return promised(source, "CAF", *found)


def avi(source: Source) -> Layout:
    """AVI: the first of its lists, which is all but of the largest."""
    size = int.from_bytes(source.at(4, 4), "little")
    return Layout("AVI") if open_ended(size) else promised(source, "AVI", 8, size)


def asf(source: Source) -> Layout:
    """ASF: WMA and WMV."""
    found = _find(source, 0, ASF, ASF_DATA)
    if found is None or found[1] <= 0:
        return Layout("ASF", whole=False if found is None else None)
    return promised(source, "ASF", *found)


def wave64(source: Source) -> Layout:
    """Sony's Wave64."""
    found = _find(source, 40, WAVE64, b"data")
    return Layout("W64", whole=False) if found is None else promised(source, "W64", *found)
