"""Where words begin and end, from the frames of their tokens and from where the clip is quiet.

A token is a peak somewhere inside its sound, so a word is heard before its first token and after its last. Where it
is quiet between two words, they end and begin there. Otherwise they touch, and share what lies between their tokens by
the letters that each of those stands for: a peak that writes a syllable has more sound around it than one letter's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models.clock import Clock, Timeline, Whole

REACH_SECONDS = 0.25
"""How far a word is heard before its first token and after its last, at most: what a long syllable lasts."""

Frames = tuple[int, int]
"""First frame, and one past the last."""


@dataclass(frozen=True)
class Placed:
    """A word in frames."""

    first: Frames
    """Of its first token."""
    last: Frames
    """Of its last token; the same where there is one."""
    letters: int
    """What its tokens write."""
    tokens: int


def time_words(words: Sequence[Placed], clock: Clock | Timeline, quiet: Whole, *, samples: int, reach: int) -> Whole:
    """Where words begin and end: (words, 2), in order and inside a clip of so many samples.

    `quiet` are the stretches of the clip in which nothing is heard; `reach` is how far a word may be heard beyond its
    tokens. Not even quiet takes the inner halves of a word's first and last token.
    """
    if not words:
        return np.zeros((0, 2), np.int64)
    frames = np.array([(word.first, word.last) for word in words], np.int64)  # (words, first or last, edges)
    edges = clock.at(frames, samples)
    middles = np.maximum.accumulate((edges.sum(2) // 2).flatten()).reshape(-1, 2)
    before = np.append(0, middles[:, 1])  # of each gap, the first of which lies before the words
    after = np.append(middles[:, 0], samples)
    left = np.append(0, edges[:, 1, 1]).clip(before, after)
    right = np.maximum(np.append(edges[:, 0, 0], samples).clip(before, after), left)
    ends, starts = _shared(words, left, right)
    for gap, stretch in _quietest(before, after, quiet):
        ends[gap], starts[gap] = stretch
    return np.stack([np.maximum(starts, right - reach)[:-1], np.minimum(ends, left + reach)[1:]], 1)


def _shared(words: Sequence[Placed], left: Whole, right: Whole) -> tuple[Whole, Whole]:
    """Where the words on the left of each gap end and those on its right begin, as if it were never quiet."""
    shares = [(a.letters * b.tokens, b.letters * a.tokens) for a, b in pairwise(words)]
    weights = np.array(shares, np.int64).reshape(-1, 2)
    weights[weights.sum(1) == 0] = 1
    inner = left[1:-1] + (right - left)[1:-1] * weights[:, 0] // weights.sum(1)
    shared = np.concatenate([left[:1], inner, right[-1:]])
    return shared, shared.copy()


def _quietest(before: Whole, after: Whole, quiet: Whole) -> list[tuple[int, tuple[int, int]]]:
    """Gaps between words in which it is quiet, and the longest such stretch of each."""
    firsts = np.searchsorted(quiet[:, 1], before, "right").tolist()
    lasts = np.searchsorted(quiet[:, 0], after, "left").tolist()
    found = []
    for gap, (first, last) in enumerate(zip(firsts, lasts, strict=True)):
        if first < last:
            inside = quiet[first:last].clip(before[gap], after[gap])
            start, end = inside[(inside[:, 1] - inside[:, 0]).argmax()].tolist()
            found.append((gap, (start, end)))
    return found
