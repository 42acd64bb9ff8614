"""A recording as exports see it: its rows together, a voice for each channel, and texts on one line.

Words without times share their segment's time by their letters: not every model gives times. Those and the words of a
reference text that no token spells, whose times the table shares out between their neighbours, were not `heard`: fine
for a screen, and nothing to score times by.
"""

import math
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import cast

import pyarrow as pa

from pipeline.schema import EMPTY, OK

Row = Mapping[str, object]
COLUMNS = ("recording_id", "uri", "channel", "seconds", "status", "text", "language", "segments", "reference")


@dataclass(frozen=True)
class Word:
    """One word and when it was said."""

    text: str
    start: float
    """Seconds."""
    end: float
    """Seconds, never before the start."""
    confidence: float | None
    heard: bool = True
    """Whether the model gave its times; else they are shared out."""


@dataclass(frozen=True)
class Stretch:
    """What was said between two pauses."""

    start: float
    """Seconds."""
    end: float
    """Seconds, never before the start."""
    text: str
    words: tuple[Word, ...]
    """All of the text, in order of time."""
    timed: bool
    """Whether the table gives the words' times."""


@dataclass(frozen=True)
class Voice:
    """One channel of a recording, or all of them mixed."""

    channel: int | None
    """From 0; None where channels were mixed."""
    text: str
    reference: str | None
    language: str | None
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True)
class Origin:
    """Where the recordings of a shard lie in their files."""

    begins: Mapping[str, float] = field(default_factory=dict)
    """Seconds into its file where each recording begins that is a part of one."""
    inside: bool = False
    """Whether they are members of tars or rows of Parquet files: then no file is called by their uris."""


@dataclass(frozen=True)
class Spoken:
    """A recording of which something can be written down."""

    recording_id: str
    uri: str
    seconds: float
    begin: float | None
    """Seconds into the file where it starts, where it is a part of one."""
    inside: bool
    """Whether it is in a tar or a Parquet file."""
    voices: tuple[Voice, ...]


def spoken(table: Iterable[pa.Table], origin: Origin) -> Iterator[Spoken]:
    """Yield the recordings of a shard; those that failed or were left out are not among them."""
    rows = (row for part in table for row in part.select(list(COLUMNS)).to_pylist() if row["status"] in (OK, EMPTY))
    for name, group in groupby(rows, key=lambda row: str(row["recording_id"])):
        together = list(group)
        seconds = max(_number(row["seconds"]) or 0.0 for row in together)
        voices = tuple(_voice(row) for row in together)
        yield Spoken(name, str(together[0]["uri"]), seconds, origin.begins.get(name), origin.inside, voices)


def one_line(text: object) -> str:
    """The text without line breaks, doubled spaces and control characters; nothing for nothing."""
    joined = " ".join(str(text or "").split())
    return "".join(letter for letter in joined if unicodedata.category(letter) != "Cc")


def _voice(row: Row) -> Voice:
    text, segments = one_line(row["text"]), cast("list[Row]", row["segments"] or [])
    found = tuple(stretch for stretch in map(_stretch, segments) if stretch.text)
    if not found and text:
        found = (_untimed(0.0, _number(row["seconds"]) or 0.0, text),)
    reference = None if row["reference"] is None else one_line(row["reference"])
    channel, language = cast("int | None", row["channel"]), cast("str | None", row["language"])
    return Voice(channel, text, reference, language, found)


def _stretch(segment: Row) -> Stretch:
    start, end = _span(segment)
    words = tuple(_word(word) for word in cast("list[Row]", segment["words"] or []) if one_line(word["word"]))
    text = one_line(segment["text"])
    if not words or any(math.isnan(word.start) for word in words):
        return _untimed(start, end, text)
    return Stretch(start, end, text or " ".join(word.text for word in words), words, timed=True)


def _word(word: Row) -> Word:
    start, end = _seconds(word["start"]), _seconds(word["end"])
    if start is None or end is None:
        start = end = math.nan
    heard = word.get("aligned") is not False
    return Word(one_line(word["word"]), start, max(start, end), _number(word["confidence"]), heard)


def _untimed(start: float, end: float, text: str) -> Stretch:
    return Stretch(start, end, text, tuple(shared(text.split(), start, end)), timed=False)


def shared(parts: list[str], start: float, end: float) -> Iterator[Word]:
    """Give each part its share of the time, by its letters."""
    each, at = (end - start) / max(1, sum(map(len, parts))), start
    for part in parts:
        yield Word(part, at, at + each * len(part), None, heard=False)
        at += each * len(part)


def _span(segment: Row) -> tuple[float, float]:
    start = _seconds(segment["start"]) or 0.0
    return start, max(start, _seconds(segment["end"]) or 0.0)


def _seconds(value: object) -> float | None:
    """No format has a time before the beginning."""
    number = _number(value)
    return None if number is None else max(0.0, number)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
