"""Tokens become words with times and confidence, words become segments, segments a transcript.

Times are whole samples of the clip, in order and inside it. Text is what the model wrote, in its case and script.
A word is as sure as its least sure token; a segment and a transcript as their words are on average, so that a
confidence estimates the share of words that are right.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.clock import Clock, Timeline, Whole
from models.protocol import Tokens
from models.vocabulary import Vocabulary
from models.word_times import Placed, time_words

PAUSE_SECONDS = 0.5
"""Silence between two words that makes two segments of them."""


@dataclass(frozen=True)
class Word:
    """A word and where it is heard."""

    text: str
    start: int
    """Samples from the clip's beginning."""
    end: int
    """Samples from the clip's beginning; never before `start`."""
    confidence: float
    """In [0, 1]."""


@dataclass(frozen=True)
class Segment:
    """Words without a pause between them."""

    text: str
    start: int
    """Of the first word, in samples."""
    end: int
    """Of the last word, in samples."""
    confidence: float
    """Mean over the words."""
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Transcript:
    """What was said in a clip."""

    text: str
    """As the model writes it."""
    confidence: float
    """Mean over the words; 0 where there is none."""
    segments: tuple[Segment, ...]
    """In order, apart."""

    @property
    def words(self) -> tuple[Word, ...]:
        """All words, in order."""
        return tuple(word for segment in self.segments for word in segment.words)


@dataclass(frozen=True)
class Scribe:
    """Writes transcripts of one model's tokens."""

    vocabulary: Vocabulary
    clock: Clock | Timeline
    reach: int
    """Samples that a word is heard before its first token and after its last, at most."""
    pause: int
    """Samples of silence that end a segment."""

    def transcript(self, tokens: Tokens, samples: int) -> Transcript:
        """The transcript of a clip of so many samples."""
        segments = tuple(map(_segment, split_at_pauses(self.words(tokens, samples), self.pause)))
        words = [word for segment in segments for word in segment.words]
        return Transcript(self.vocabulary.text(tokens.ids.tolist()), _mean(words), segments)

    def words(self, tokens: Tokens, samples: int) -> list[Word]:
        """The words that tokens write, timed by their frames."""
        spelled = self.vocabulary.words(tokens.ids.tolist())
        frames = list(zip(tokens.starts.tolist(), tokens.ends.tolist(), strict=True))
        placed = [
            Placed(frames[word.first], frames[word.last - 1], len(word.text), word.last - word.first)
            for word in spelled
        ]
        times = self.times(placed, tokens.quiet, samples).tolist()
        confidences = [float(tokens.scores[word.first : word.last].min().clip(0, 1)) for word in spelled]
        rows = zip(spelled, times, confidences, strict=True)
        return [Word(word.text, start, end, confidence) for word, (start, end), confidence in rows]

    def times(self, words: Sequence[Placed], quiet: Whole, samples: int) -> Whole:
        """Where words begin and end: (words, 2)."""
        return time_words(words, self.clock, quiet, samples=samples, reach=self.reach)


def split_at_pauses(words: Sequence[Word], pause: int) -> Iterator[list[Word]]:
    """Words in groups, so many silent samples or more between groups."""
    group: list[Word] = []
    for word in words:
        if group and word.start - group[-1].end >= pause:
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _segment(words: list[Word]) -> Segment:
    text = " ".join(word.text for word in words)
    return Segment(text, words[0].start, words[-1].end, _mean(words), tuple(words))


def _mean(words: Sequence[Word]) -> float:
    return sum(word.confidence for word in words) / len(words) if words else 0.0
