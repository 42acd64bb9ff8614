"""How far a text is from its reference, in words and in letters.

A model's text keeps the language, script and case that the model gives it. Only what is scored is normalised, always
and on both sides, by one stated rule: `normalise`.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Costs: TypeAlias = npt.NDArray[np.int64]

CELLS = 4_000_000
"""Of a table that is held whole."""


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
    """The fewest changes, of any items; among equals, those with the most substitutions.

    A row of the table is kept at a time, so hours of speech fit: changes cost so much more than the little that a
    substitution is favoured by, that one sum tells both, and the lengths tell deletions from insertions.
    """
    length = len(reference)
    first, last = _differing(reference, reading)
    reference, reading = reference[first : len(reference) - last], reading[first : len(reading) - last]
    change = min(len(reference), len(reading)) + 1
    cost = int(_last_row(reference, reading, change)[-1])
    total = -(-cost // change)
    substitutions = total * change - cost
    deletions = (total - substitutions + len(reference) - len(reading)) // 2
    return Edits(substitutions, deletions, total - substitutions - deletions, length)


def pair(reference: Sequence[str], reading: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """What stands for what: indices into both sides, None where one side has nothing."""
    return list(_paired(reference, reading, 0, 0))


def _paired(
    reference: Sequence[str], reading: Sequence[str], i: int, j: int
) -> Iterator[tuple[int | None, int | None]]:
    """Pairs of two parts that begin at `i` and `j`; what is too large for one table is cut where both sides agree."""
    if len(reference) < 2 or len(reference) * len(reading) <= CELLS:
        for here, there in _traced(reference, reading):
            yield None if here is None else i + here, None if there is None else j + there
        return
    half = len(reference) // 2
    before = _last_row(reference[:half], reading, 1)
    after = _last_row(reference[half:][::-1], reading[::-1], 1)[::-1]
    cut = int((before + after).argmin())
    yield from _paired(reference[:half], reading[:cut], i, j)
    yield from _paired(reference[half:], reading[cut:], i + half, j + cut)


def _traced(reference: Sequence[str], reading: Sequence[str]) -> list[tuple[int | None, int | None]]:
    table = np.stack(list(_rows(reference, reading, 1)))
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


def _differing(reference: Sequence[str], reading: Sequence[str]) -> tuple[int, int]:
    """How many items are the same at the beginning, and of the rest at the end."""
    shorter = min(len(reference), len(reading))
    first = next((i for i in range(shorter) if reference[i] != reading[i]), shorter)
    last = next((i for i in range(shorter - first) if reference[-1 - i] != reading[-1 - i]), shorter - first)
    return first, last


def _last_row(reference: Sequence[str], reading: Sequence[str], change: int) -> Costs:
    """What it costs to make each beginning of the reading of the whole reference."""
    *_, row = _rows(reference, reading, change)
    return row


def _rows(reference: Sequence[str], reading: Sequence[str], change: int) -> Iterator[Costs]:
    """Costs between every two beginnings, a row at a time; a substitution costs 1 less where a change costs more."""
    numbers = {item: number for number, item in enumerate({*reference, *reading})}
    read = np.array([numbers[item] for item in reading], np.int64)
    ramp = np.arange(len(reading) + 1, dtype=np.int64) * change
    substitution = max(1, change - 1)
    row = ramp
    yield row
    for item in reference:
        made = row + change
        made[1:] = np.minimum(made[1:], row[:-1] + substitution * (read != numbers[item]))
        row = np.minimum.accumulate(made - ramp) + ramp  # insertions run along the row
        yield row
