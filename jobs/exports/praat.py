"""Praat's TextGrid: a tier of segments and a tier of words for each channel.

A tier has no gaps, no overlaps and no interval without length: a word that has none gets a millisecond, and what
overlaps begins where the one before it ends.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from jobs.exports.spoken import Spoken, Stretch, Voice, Word

Interval: TypeAlias = tuple[int, int, str]
"""Milliseconds, and what is said in them."""


def textgrid(recording: Spoken) -> str:
    """The long text form."""
    tiers = [(name, list(_apart(parts))) for voice in recording.voices for name, parts in _tiers(recording, voice)]
    last = max([1, round(1000 * recording.seconds), *(interval[-1][1] for _, interval in tiers if interval)])
    head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", *_bounds(last), "tiers? <exists> "]
    body = [line for number, (name, parts) in enumerate(tiers, 1) for line in _tier(number, name, parts, last)]
    return "\n".join([*head, f"size = {len(tiers)} ", "item []: ", *body, ""])


def _tiers(recording: Spoken, voice: Voice) -> Iterator[tuple[str, Iterable[Stretch | Word]]]:
    of = f" {voice.channel}" if len(recording.voices) > 1 else ""
    yield f"segments{of}", voice.stretches
    yield f"words{of}", [word for stretch in voice.stretches for word in stretch.words]


def _apart(parts: Iterable[Stretch | Word]) -> Iterator[Interval]:
    before = 0
    for part in sorted(parts, key=lambda part: part.start):
        begin = max(before, round(1000 * part.start))
        before = max(begin + 1, round(1000 * part.end))
        yield begin, before, part.text


def _tier(number: int, name: str, parts: list[Interval], last: int) -> Iterator[str]:
    filled = list(_filled(parts, last))
    yield from (f"    item [{number}]:", '        class = "IntervalTier" ', f'        name = "{name}" ')
    yield from (f"        {line}" for line in _bounds(last))
    yield f"        intervals: size = {len(filled)} "
    for place, (begin, end, text) in enumerate(filled, 1):
        quoted = text.replace('"', '""')
        yield f"        intervals [{place}]:"
        yield from (f"            xmin = {begin / 1000} ", f"            xmax = {end / 1000} ")
        yield f'            text = "{quoted}" '


def _filled(parts: list[Interval], last: int) -> Iterator[Interval]:
    before = 0
    for begin, end, text in parts:
        if begin > before:
            yield before, begin, ""
        yield begin, end, text
        before = end
    if before < last:
        yield before, last, ""


def _bounds(last: int) -> tuple[str, str]:
    return "xmin = 0 ", f"xmax = {last / 1000} "
