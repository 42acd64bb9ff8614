"""Where a clip is quiet, by its loudness alone: words lie in what is left.

Loudness has no unit here, so that a waveform and a filter bank tell it as well: quiet is what lies nearer to the
clip's own floor than to its speech. Whatever is quiet for less than a consonant's closure is part of a word.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from models.clock import Clock, Whole

FLOOR, SPEECH = 0.05, 0.95
"""The shares of a clip's steps that are quieter than its floor and than its speech."""
SHARE = 0.3
"""How far from the floor to the speech a step may rise and still be quiet."""
DEPTH = 13.8
"""Nats of power (60 dB) below the speech is the lowest that a floor can be: digital silence is no measure of noise."""
LEAST_SECONDS = 0.05
"""Many stops, such as p, t and k, hold their breath for less; so do few pauses between words."""

BEYOND = 1 << 62
"""A sample that no clip has."""


@dataclass(frozen=True)
class Loudness:
    """How loud some clips are, step by step."""

    levels: Tensor
    """(clips, steps) logarithms of power, or of what grows with it."""
    lengths: tuple[int, ...]
    """Steps of each clip."""
    clock: Clock
    """When each step is."""


def find_quiet(loudness: Loudness, least: int) -> list[Whole]:
    """Where each clip is quiet for so many samples or more: (stretches, 2) samples, in order and apart.

    At a clip's ends it may be for less, because nobody knows how long it was quiet before; the last stretch may reach
    beyond the end, which features do not tell.
    """
    rows = zip(loudness.levels.cpu().double().numpy(), loudness.lengths, strict=True)
    return [_stretches(levels[:steps], loudness.clock, least) for levels, steps in rows]


def nowhere() -> Whole:
    """Not quiet, as far as is known."""
    return np.zeros((0, 2), np.int64)


def loud_shares(quiet: Whole, clock: Clock, frames: int) -> npt.NDArray[np.float64]:
    """The share of each frame that is not quiet."""
    edges = clock.first + clock.step * np.arange(frames + 1, dtype=np.int64)
    inside = quiet.clip(edges[0], edges[-1])
    before = np.append(0, (inside[:, 1] - inside[:, 0]).cumsum())
    known = np.concatenate([edges[:1], inside.flatten()]), np.append(0, before.repeat(2)[1:-1])
    return 1 - np.diff(np.interp(edges, *known)) / clock.step


def _stretches(levels: npt.NDArray[np.float64], clock: Clock, least: int) -> Whole:
    if not len(levels):
        return nowhere()
    floor, speech = np.quantile(levels, (FLOOR, SPEECH))
    floor = max(floor, speech - DEPTH)
    quiet = np.concatenate([[False], levels < floor + SHARE * (speech - floor), [False]])
    runs = np.flatnonzero(quiet[1:] != quiet[:-1]).reshape(-1, 2)
    at_end = (runs[:, 0] == 0) | (runs[:, 1] == len(levels))
    runs = runs[at_end | ((runs[:, 1] - runs[:, 0]) * clock.step >= least)]
    found = clock.first + clock.step * runs
    found[:, 0][runs[:, 0] == 0] = 0
    found[:, 1][runs[:, 1] == len(levels)] = BEYOND
    return found
