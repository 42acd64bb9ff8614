"""The words of a recording as places on a line: where each stands, how sure it is, and where a click leads.

A long recording is shown in part: the stretch around its least sure word.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

LONGEST = 60.0
"""Seconds of a recording that are shown."""
BANDS = (0.25, 0.5, 0.75, 0.9)
"""Where one colour ends and the next begins."""
PER_SECOND = 78
"""Pixels that a second takes at least: a line that is wider than the page is scrolled."""
LANES = 2
"""Rows that words take turns in, so that each has the room of two to be read in."""
CLOCK = (1, 2, 5, 10, 15, 30, 60)


@dataclass(frozen=True)
class Word:
    """A word of the table."""

    text: str
    start: float
    end: float
    confidence: float | None


@dataclass(frozen=True)
class Spot:
    """A word on the line."""

    text: str
    title: str
    """What is told about it: times and confidence."""
    band: int
    """Which colour: 0 is least sure, 4 is sure; 5 where nothing is known."""
    seek: float
    """Seconds into the audio of the page."""
    left: float
    """Percent of the line."""
    room: float
    """Percent, until the next word of its lane."""
    bar: float
    """Percent of its room in which it is spoken."""
    lane: int
    wrong: bool = False
    """Whether the reference says something else."""


@dataclass(frozen=True)
class Line:
    """A stretch of a recording with its words."""

    begin: float
    seconds: float
    words: tuple[Word, ...]

    @property
    def pixels(self) -> int:
        """How wide it is at least."""
        return round(PER_SECOND * self.seconds)

    @property
    def end(self) -> float:
        """In the recording."""
        return self.begin + self.seconds

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Where the clock is written: percent of the line, and the time."""
        step = next((step for step in CLOCK if self.seconds / step <= 30), CLOCK[-1])
        first = -(-int(self.begin) // step) * step
        times = range(first, int(self.end) + 1, step)
        return [(100 * (at - self.begin) / self.seconds, _clock(at)) for at in times if self.begin <= at < self.end]

    def spots(self, wrong: Sequence[bool]) -> Iterator[Spot]:
        """Each word with its place."""
        for index, word in enumerate(self.words):
            following = self.words[index + LANES].start if index + LANES < len(self.words) else self.end
            room = max(following - word.start, 0.02)
            yield Spot(
                text=word.text,
                title=_title(word),
                band=band(word.confidence),
                seek=round(max(0.0, word.start - self.begin), 3),
                left=round(100 * (word.start - self.begin) / self.seconds, 3),
                room=round(100 * room / self.seconds, 3),
                bar=round(min(100.0, 100 * (word.end - word.start) / room), 1),
                lane=index % LANES,
                wrong=index < len(wrong) and wrong[index],
            )


def line(words: Sequence[Word], seconds: float) -> Line:
    """All of a recording, or of a long one what stands around its least sure word, from pause to pause."""
    if seconds <= LONGEST:
        return Line(0.0, max(seconds, 0.01), tuple(words))
    doubtful = min(words, key=lambda word: 1.0 if word.confidence is None else word.confidence, default=None)
    middle = doubtful.start if doubtful else 0.0
    begin = min(max(0.0, middle - LONGEST / 2), seconds - LONGEST)
    begin = min((pause for pause in _pauses(words) if pause <= middle), key=lambda at: abs(at - begin), default=begin)
    inside = [word for word in words if word.start >= begin and word.end <= begin + LONGEST]
    return Line(begin, LONGEST, tuple(inside))


def _pauses(words: Sequence[Word]) -> Iterator[float]:
    """The middles of the gaps between words."""
    return ((left.end + right.start) / 2 for left, right in pairwise(words) if right.start > left.end)


def words_of(segments: object) -> list[Word]:
    """The words of a row of the table."""
    return [_word(word) for segment in _dicts(segments) for word in _dicts(segment["words"])]


def band(confidence: float | None) -> int:
    """Which colour a confidence has."""
    if confidence is None:
        return len(BANDS) + 1
    return sum(confidence >= edge for edge in BANDS)


def _dicts(values: object) -> list[Mapping[str, object]]:
    return values if isinstance(values, list) else []


def _word(word: Mapping[str, object]) -> Word:
    start, end, confidence = (_number(word[name]) for name in ("start", "end", "confidence"))
    return Word(str(word["word"]), start or 0.0, end or start or 0.0, confidence)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _title(word: Word) -> str:
    sure = "" if word.confidence is None else f", confidence {word.confidence:.2f}"
    return f"{word.text}: {word.start:.2f} to {word.end:.2f} s{sure}"


def _clock(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02}"
