"""How far a text is from its reference, in words and in letters.

A model's text keeps the language, script and case that the model gives it. Only what is scored is normalised, always
and on both sides, by one stated rule: `normalise`.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


def normalise(text: str) -> str:
    """NFKC, case folded; an apostrophe inside a word is dropped, other punctuation and symbols become spaces."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(map(_scored, folded)).split())


APOSTROPHES = frozenset("'\u2019\u02bc`")


def _scored(character: str) -> str:
    """Letters, marks and numbers are kept."""
    if character in APOSTROPHES:
        return ""
    return character if unicodedata.category(character)[0] in "LMN" else " "


@dataclass(frozen=True)
class Edits:
    """The fewest changes that turn a reference into what was read."""

    substitutions: int = 0
    deletions: int = 0
    """What the reference has and the reading lacks."""
    insertions: int = 0
    """What the reading has and the reference lacks."""
    length: int = 0
    """Of the reference."""

    @property
    def total(self) -> int:
        """All changes."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Changes for each item of the reference; infinite where there is none to change."""
        if not self.length:
            return float("inf") if self.total else 0.0
        return self.total / self.length

    def __add__(self, other: "Edits") -> "Edits":
        return Edits(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.length + other.length,
        )


def word_edits(reference: str, reading: str) -> Edits:
    """Changes of words, both sides normalised."""
    return count_edits(normalise(reference).split(), normalise(reading).split())


def letter_edits(reference: str, reading: str) -> Edits:
    """Changes of letters and of the spaces between words, both sides normalised."""
    return count_edits(normalise(reference), normalise(reading))


def sum_edits(edits: Iterable[Edits]) -> Edits:
    """Of a whole corpus: long references weigh more."""
    return sum(edits, Edits())


def count_edits(reference: Sequence[str], reading: Sequence[str]) -> Edits:
    """The fewest changes, of any items; among equals, those with the most substitutions."""
    pairs = pair(reference, reading)
    return Edits(
        substitutions=sum(i is not None and j is not None and reference[i] != reading[j] for i, j in pairs),
        deletions=sum(j is None for _, j in pairs),
        insertions=sum(i is None for i, _ in pairs),
        length=len(reference),
    )


def pair(reference: Sequence[str], reading: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """What stands for what: indices into both sides, None where one side has nothing."""
    table = _table(reference, reading)
    i, j = len(reference), len(reading)
    pairs: list[tuple[int | None, int | None]] = []
    while i or j:
        here = table[i, j]
        if i and j and here == table[i - 1, j - 1] + (reference[i - 1] != reading[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and here == table[i - 1, j] + 1:
            i -= 1
            pairs.append((i, None))
        else:
            j -= 1
            pairs.append((None, j))
    return pairs[::-1]


def _table(reference: Sequence[str], reading: Sequence[str]) -> "np.ndarray[tuple[int, int], np.dtype[np.int32]]":
    """Fewest changes between every two beginnings, a row at a time."""
    numbers = {item: number for number, item in enumerate({*reference, *reading})}
    read = np.array([numbers[item] for item in reading], np.int32)
    ramp = np.arange(len(reading) + 1, dtype=np.int32)
    table = np.empty((len(reference) + 1, len(reading) + 1), np.int32)
    table[0] = ramp
    for i, item in enumerate(reference, 1):
        row = table[i - 1] + 1
        row[1:] = np.minimum(row[1:], table[i - 1, :-1] + (read != numbers[item]))
        table[i] = np.minimum.accumulate(row - ramp) + ramp  # insertions run along the row
    return table
