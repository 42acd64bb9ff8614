"""Histograms that are counted as a table streams by: they take the same room for ten rows and for a billion."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

SECONDS = (
    0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 45.0, 60.0, 90.0, 120.0,
    180.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0,
)  # fmt: skip
TENTHS = 10
Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass
class Bins:
    """How often values fell between neighbouring edges; what lies outside is counted at the ends."""

    edges: Sequence[float]
    total: float = 0.0
    """The sum of all values, for their mean."""
    counts: Counts = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(self.edges) - 1, np.int64)

    def take(self, values: npt.NDArray[np.float64]) -> None:
        """Count values; what is not a number is left out."""
        numbers = values[np.isfinite(values)]
        places = np.searchsorted(self.edges, numbers, side="right") - 1
        self.counts += np.bincount(np.clip(places, 0, len(self.counts) - 1), minlength=len(self.counts))
        self.total += float(numbers.sum())

    @property
    def count(self) -> int:
        """How many values there were."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """0 where there was none."""
        return self.total / self.count if self.count else 0.0

    @property
    def used(self) -> slice:
        """The bins from the first to the last that holds anything."""
        there = np.flatnonzero(self.counts)
        return slice(int(there[0]), int(there[-1]) + 1) if len(there) else slice(0, 0)


@dataclass
class Trust:
    """How right recordings of like confidence are, in tenths of it, by their words."""

    words: Floats = field(default_factory=lambda: np.zeros(TENTHS))
    sure: Floats = field(default_factory=lambda: np.zeros(TENTHS))
    """The sum of their words' confidence."""
    right: Floats = field(default_factory=lambda: np.zeros(TENTHS))
    """How many of them are right."""

    def take(self, words: Floats, confidence: Floats, wer: Floats) -> None:
        """Count recordings; those of which anything is not known, or that have no word, are left out."""
        known = np.isfinite(words * confidence * wer) & (words > 0)
        words, confidence, rate = words[known], confidence[known], wer[known]
        places = np.clip((confidence * TENTHS).astype(int), 0, TENTHS - 1)
        self.words += np.bincount(places, words, TENTHS)
        self.sure += np.bincount(places, words * confidence, TENTHS)
        self.right += np.bincount(places, words * (1 - np.minimum(rate, 1)), TENTHS)

    @property
    def points(self) -> tuple[Floats, Floats]:
        """Mean confidence and share of right words, of the tenths that hold any."""
        full = self.words > 0
        return self.sure[full] / self.words[full], self.right[full] / self.words[full]

    @property
    def error(self) -> float:
        """How far what is said is from what is right, over all words; 0 for none."""
        total = float(self.words.sum())
        return float(np.abs(self.sure - self.right).sum()) / total if total else 0.0


def seconds_bins() -> Bins:
    """For lengths of recordings: finer where most of them are."""
    return Bins(SECONDS)


def share_bins() -> Bins:
    """For values from 0 to 1, in twentieths."""
    return Bins([*np.linspace(0.0, 1.0, 21)])


def rate_bins() -> Bins:
    """For error rates: those that are exactly 0, then twentieths up to 1, then everything above."""
    return Bins([0.0, 1e-9, *np.linspace(0.05, 1.0, 20), 1.0 + 1e-9, np.inf])
