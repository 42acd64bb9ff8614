"""The pieces of a recording, heard apart, as one row of the table.

A word belongs to the piece in whose core its middle lies. Two pieces hear the words at their common edge a little
differently: of one that both claim the surer hearing is taken, one that neither claims is not lost.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from pipeline.schema import EMPTY, OK

Row = Mapping[str, object]


class Word(NamedTuple):
    """A word at the recording's samples."""

    text: str
    start: int
    end: int
    confidence: float
    aligned: bool | None = None
    """Of a reference text's word: whether its times were heard."""
    missing: str | None = None
    """Of a reference text's word: its characters that no token spells."""

    @property
    def middle(self) -> int:
        """What decides whose it is."""
        return (self.start + self.end) // 2


class Piece(NamedTuple):
    """What was heard in one segment. A tuple, as `Word` is: a run makes millions, one after the other."""

    core: tuple[int, int]
    total: int
    text: str | None
    words: tuple[Word, ...]
    labels: Mapping[str, float]
    seconds: float
    alignment: Row | None = None
    """Of the whole recording's reference text, with its first piece."""
    vector: Sequence[float] | None = None
    """The mean over the frames that it answers for."""
    weight: int = 0
    """How many these are."""
    file: str | None = None
    """What holds them."""
    units: Sequence[int] | None = None
    """One for each of them."""


class Stitch(Protocol):
    """How the pieces of one channel fill a row."""

    def row(self, pieces: Sequence[Piece], making: "Making") -> Row:
        """The status and the columns, from the pieces in the order of their index."""
        ...


class Texts:
    """Words become the words of the whole."""

    def row(self, pieces: Sequence[Piece], making: "Making") -> Row:
        """Text, and segments between pauses."""
        words = joined(pieces)
        text = pieces[0].text or "" if len(pieces) == 1 else " ".join(word.text for word in words)
        if not text.strip():
            return {"status": EMPTY, "text": "", "segments": []}
        segments = [_segment(group, making.sample_rate) for group in grouped(words, making)]
        return {"status": OK, "text": text, "confidence": _mean(words), "segments": segments}


@dataclass(frozen=True)
class Making:
    """What every row of a run says, and how it is put together."""

    model: str
    run_id: str
    sample_rate: int
    language: str | None = None
    stitch: Stitch = field(default_factory=Texts)
    pause_seconds: float = 0.5
    """A silence between two words that is this long parts two segments of the text."""


def stitched(pieces: Sequence[Piece], making: Making) -> Row:
    """The columns that the pieces of one channel fill, in the order of their index."""
    heard = making.stitch.row(pieces, making)
    return {"seconds": pieces[-1].total / making.sample_rate, "language": making.language, **heard}


def joined(pieces: Sequence[Piece]) -> list[Word]:
    """The words of the whole, each once."""
    words: list[Word] = []
    before: Piece | None = None
    for piece in pieces:
        mine = [word for word in piece.words if piece.core[0] <= word.middle < piece.core[1]]
        if before is not None:
            mine = _over_the_edge(words, before, piece, mine)
        words.extend(mine)
        before = piece
    return words


def _over_the_edge(words: list[Word], left: Piece, right: Piece, mine: list[Word]) -> list[Word]:
    edge = right.core[0]
    if words and mine and _overlap(words[-1], mine[0]):
        words[-1] = _surer(words[-1], mine[0])
        return mine[1:]
    unclaimed = [word for word in left.words if word.middle >= edge][:1]
    spurned = [word for word in right.words if word.middle < edge][-1:]
    if unclaimed and spurned and _overlap(unclaimed[0], spurned[0]):
        known = [*words[-1:], *mine[:1]]
        if not any(_overlap(unclaimed[0], word) for word in known):
            return [_surer(unclaimed[0], spurned[0]), *mine]
    return mine


def _surer(one: Word, other: Word) -> Word:
    return max(one, other, key=lambda word: word.confidence)


def _overlap(one: Word, other: Word) -> bool:
    shared = min(one.end, other.end) - max(one.start, other.start)
    return 2 * shared >= min(one.end - one.start, other.end - other.start)


def grouped(words: Iterable[Word], making: Making) -> Iterator[list[Word]]:
    """Words between pauses."""
    group: list[Word] = []
    for word in words:
        if group and word.start - group[-1].end >= making.pause_seconds * making.sample_rate:
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _segment(words: Sequence[Word], rate: int) -> Row:
    return {
        "start": words[0].start / rate,
        "end": words[-1].end / rate,
        "text": " ".join(word.text for word in words),
        "confidence": _mean(words),
        "words": [
            {
                "word": word.text,
                "start": word.start / rate,
                "end": word.end / rate,
                "confidence": word.confidence,
                "aligned": word.aligned,
                "missing": word.missing,
            }
            for word in words
        ],
    }


def _mean(words: Sequence[Word]) -> float | None:
    return sum(word.confidence for word in words) / len(words) if words else None
