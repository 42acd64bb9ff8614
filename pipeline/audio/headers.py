"""What the first bytes say a file is, and how far they say it reaches. Its name is never asked.

Decoders read half a WAV without a word; only its header knows that there was more. An unknown length is legal: a
recorder that streams writes 0 or the largest number it can.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.audio.chunks import MOST_CHUNKS, SLACK, Layout, aiff, asf, avi, caf, open_ended, promised, wave, wave64
from pipeline.audio.source import Source

MOST_PAGE = 1 << 16
"""Bytes of the largest Ogg page, rounded up."""
OPUS, AAC, MATROSKA = "Ogg Opus", "AAC", "Matroska or WebM"
WEAK = ("MP3", AAC)
"""Formats that any file may seem to be by its first two bytes."""
SEGMENT = bytes.fromhex("18538067")
PAGE = re.compile(rb"OggS\0")
SYNC = re.compile(rb"\xff[\xe2-\xe7\xea-\xef\xf2-\xf7\xfa-\xff]")
"""How a frame of MPEG audio begins."""


def look(source: Source) -> Layout | None:
    """Recognise a file by its content; None where nothing known begins so."""
    head = source.at(0, 64)
    for magic, reader in READERS:
        if magic.match(head):
            return reader(source)
    return None


def _au(source: Source) -> Layout:
    begin, size = struct.unpack(">II", source.at(4, 8).ljust(8, b"\0"))
    if size == 0 and begin < source.size:
        return Layout("AU", begin, whole=False)  # whoever wrote it did not come to count, and no decoder reads on
    return Layout("AU", begin) if open_ended(size) else promised(source, "AU", begin, size)


def _nist(source: Source) -> Layout:
    header = source.at(0, 1024)
    fields = dict(re.findall(rb"(sample_count|channel_count|sample_n_bytes) -i (\d{1,18})", header))
    size = re.match(rb"NIST_1A\n +(\d{1,9})\n", header)
    if size is None or len(fields) < 3 or b"embedded" in header:
        return Layout("NIST")
    total = int(fields[b"sample_count"]) * int(fields[b"channel_count"]) * int(fields[b"sample_n_bytes"])
    return promised(source, "NIST", int(size[1]), total)


def _voc(source: Source) -> Layout:
    begin = int.from_bytes(source.at(20, 2), "little")
    block = source.at(begin, 4)
    if len(block) < 4 or block[0] not in (1, 9):
        return Layout("VOC")
    return promised(source, "VOC", begin + 4, int.from_bytes(block[1:], "little"))


def _mp4(source: Source) -> Layout:
    """A box that reaches beyond the file tells a cut one."""
    at = 0
    for _ in range(MOST_CHUNKS):
        entry = source.at(at, 16)
        if len(entry) < 8:
            break
        size = int.from_bytes(entry[:4], "big")
        size = int.from_bytes(entry[8:], "big") if size == 1 else size
        if size < 8:  # 0: to the end of the file
            return Layout("MP4")
        at += size
    return Layout("MP4", 0, at, whole=at <= source.size)


def _matroska(source: Source) -> Layout:
    size, begin = _vint(source, 4)
    segment = begin + (size or 0)
    if source.at(segment, 4) != SEGMENT:
        return Layout(MATROSKA)
    size, begin = _vint(source, segment + 4)
    return Layout(MATROSKA, begin) if size is None else promised(source, MATROSKA, begin, size)


def _vint(source: Source, at: int) -> tuple[int | None, int]:
    """EBML's number of varying length, None where it says unknown, and where it ends."""
    entry = source.at(at, 8).ljust(8, b"\0")
    length = 9 - entry[0].bit_length()
    if length > 8:
        return None, at + 1
    value = int.from_bytes(entry[:length], "big") & ((1 << 7 * length) - 1)
    return (None if value == (1 << 7 * length) - 1 else value), at + length


def _ogg(source: Source) -> Layout:
    """The last page says that it is the last one."""
    name = OPUS if source.at(28, 8) == b"OpusHead" else "Ogg"
    serial, begin = source.at(14, 4), max(0, source.size - 2 * MOST_PAGE)
    tail = source.at(begin, 2 * MOST_PAGE)
    for match in reversed(list(PAGE.finditer(tail))):
        page = tail[match.start() :]
        if len(page) >= 27 and len(page) >= (size := 27 + page[26] + sum(page[27 : 27 + page[26]])):
            whole = bool(page[5] & 4) and page[size : size + 4] != b"OggS"
            return Layout(name, 0, whole=whole, streams=page[14:18] != serial)
    return Layout(name, whole=False)


def breaks_off(source: Source, layout: Layout) -> bool:
    """Whether AAC, which promises nothing, ends within a frame. Asked only when it is broken: it walks all frames."""
    at = layout.begin
    while layout.name == AAC and len(head := source.at(at, 7)) == 7 and AFTER_TAGS[1][0].match(head):
        at += max(7, int.from_bytes(head[3:6], "big") >> 5 & 0x1FFF)
    return at > source.size - 7


def _mp3(source: Source) -> Layout:
    """Without Xing's count libsndfile guesses a length, and stops there however long the file is."""
    begin = _untagged(source)
    frame = source.at(begin, 64).ljust(64, b"\0")
    sides = {(True, True): 17, (True, False): 32, (False, True): 9, (False, False): 17}
    first_version, mono = frame[1] >> 3 & 3 == 3, frame[3] >> 6 == 3
    tag = frame[4 + sides[first_version, mono] :]
    if tag[:4] not in (b"Xing", b"Info") or tag[7] & 3 != 3:
        return Layout("MP3", begin, streams=True)
    end = begin + int.from_bytes(tag[12:16], "big")
    whole = end <= source.size + SLACK
    alone = whole and not SYNC.match(source.at(_untagged(source, end), 2))
    return Layout("MP3", begin, end, whole, streams=not alone, tailed=alone)


def _tagged(source: Source) -> Layout | None:
    head = source.at(_untagged(source), 4)
    return next((reader(source) for magic, reader in AFTER_TAGS if magic.match(head)), None)


def _untagged(source: Source, at: int = 0) -> int:
    """Where an ID3 tag ends that may begin there."""
    head = source.at(at, 10)
    if not head.startswith(b"ID3") or len(head) < 10:
        return at
    size = sum((byte & 127) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    return at + 10 + size + (10 if head[5] & 16 else 0)


@dataclass(frozen=True)
class _Named:
    """A format whose beginning promises nothing."""

    name: str

    def __call__(self, source: Source) -> Layout:
        return Layout(self.name, _untagged(source))


AFTER_TAGS: tuple[tuple[re.Pattern[bytes], Callable[[Source], Layout]], ...] = (
    (re.compile(rb"fLaC"), _Named("FLAC")),
    (re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"), _Named(AAC)),
    (SYNC, _mp3),
)
READERS: tuple[tuple[re.Pattern[bytes], Callable[[Source], Layout | None]], ...] = (
    (re.compile(rb"(RIFF|RIFX|RF64|BW64)....WAVE", re.DOTALL), wave),
    (re.compile(rb"RIFF....AVI ", re.DOTALL), avi),
    (re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), asf),
    (re.compile(rb"OggS"), _ogg),
    (re.compile(rb"....ftyp", re.DOTALL), _mp4),
    (re.compile(rb"\x1a\x45\xdf\xa3"), _matroska),
    (re.compile(rb"ID3"), _tagged),
    *AFTER_TAGS,
    (re.compile(rb"FORM....AIF[FC]", re.DOTALL), aiff),
    (re.compile(rb"\.snd"), _au),
    (re.compile(rb"caff"), caf),
    (re.compile(rb"riff\x2e\x91\xcf\x11"), wave64),
    (re.compile(rb"NIST_1A"), _nist),
    (re.compile(rb"Creative Voice File"), _voc),
)
