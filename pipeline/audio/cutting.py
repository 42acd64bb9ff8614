"""Cut a stream of samples into pieces that a model can hear at once.

A piece answers for its core; cores follow each other without a gap from the first sample to the last. What it hears
reaches further, by a context on both sides, so that a word across a cut is heard whole twice and belongs to the one
core in which its centre lies. A cut depends on the samples only, never on how they were chunked.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.schema import Samples

Levels = npt.NDArray[np.float32]

WINDOW_SECONDS = 0.2
"""A cut lies in the middle of the quietest window of this length."""
FRAMES_PER_SECOND = 50
FLOOR = np.float32(1e-10)
"""The power below which everything is equally quiet: -100 dB, less than the last bit of 16."""
SILENCE = np.float32(-200)
"""The level of a frame of zeros."""
UNEVEN = np.float32(10)
"""By how much the loudest frame of the window that is cut may be louder than another's: else zeros that a lost packet
left in a word outweigh a pause. In decibels; probabilities of speech lie closer than that."""


class Meter(Protocol):
    """Says of every frame of a stream how much would be lost by a cut there."""

    frame: int
    """Samples of a frame."""

    def push(self, samples: Samples) -> Levels:
        """The levels of frames that are known now; they may lag behind."""
        ...

    def flush(self) -> Levels:
        """The rest, of the last and shorter frame too."""
        ...

    def heard(self, levels: Levels) -> slice:
        """The frames among these that are worth hearing: an empty slice where none is."""
        ...


class Loudness:
    """Power of 20 ms in whole decibels, so that one kind of silence is as good as another."""

    def __init__(self, sample_rate: int) -> None:
        self.frame = sample_rate // FRAMES_PER_SECOND
        self._rest = np.zeros(0, np.float32)

    def push(self, samples: Samples) -> Levels:
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) - len(samples) % self.frame
        self._rest = samples[whole:]
        return _decibels(samples[:whole].reshape(-1, self.frame))

    def flush(self) -> Levels:
        return _decibels(self._rest[None] if len(self._rest) else np.zeros((0, 1), np.float32))

    def heard(self, levels: Levels) -> slice:
        """Everything, if one sample of it is not zero."""
        return slice(0, len(levels) if (levels > SILENCE).any() else 0)


def _decibels(frames: Samples) -> Levels:
    """(frames, samples) -> the level of each."""
    power = np.einsum("fs,fs->f", frames, frames) / np.float32(frames.shape[1])
    return np.where(power > 0, np.round(10 * np.log10(power + FLOOR)), SILENCE)


@dataclass(frozen=True)
class Bounds:
    """How long pieces may be, in frames of the meter."""

    shortest: int
    longest: int
    context: int
    window: int


UNCUT = Bounds(1, 1 << 62, 0, 1)


@dataclass(frozen=True)
class Piece:
    """What one cut makes."""

    start: int
    """The sample of the stream at which its samples begin."""
    core: tuple[int, int]
    """The samples it answers for."""
    last: bool
    samples: Samples = field(repr=False)
    """Empty where nothing can be heard."""


class Cutter:
    """Holds what is not cut yet: the longest piece, its successor's shortest, and the context before them."""

    def __init__(self, meter: Meter, bounds: Bounds) -> None:
        self._meter, self._bounds = meter, bounds
        self._samples: list[Samples] = []
        self._levels: list[Levels] = []
        self._begin = 0  # the frame at which both begin
        self._cut = 0  # the frame at which the next core begins
        self._known = 0  # the frame up to which levels are known
        self.total = 0
        """Samples so far."""

    def push(self, samples: Samples) -> Iterator[Piece]:
        """Take more of the stream; give the pieces that are sure now."""
        self._take(samples, self._meter.push(samples))
        ahead = self._bounds.longest + self._bounds.shortest
        while self._known - self._cut >= ahead:
            yield self._piece(self._cut + self._quietest(self._bounds.longest))

    def flush(self) -> Iterator[Piece]:
        """The end: the pieces that are left, at least one. None of them is shorter than the shortest."""
        self._take(np.zeros(0, np.float32), self._meter.flush())
        while (rest := self.total - self._cut * self._meter.frame) > self._bounds.longest * self._meter.frame:
            most = rest // self._meter.frame - self._bounds.shortest
            yield self._piece(self._cut + self._quietest(min(self._bounds.longest, most)))
        yield self._piece(None)

    def _take(self, samples: Samples, levels: Levels) -> None:
        self._samples.append(samples)
        self._levels.append(levels)
        self._known += len(levels)
        self.total += len(samples)

    def _quietest(self, most: int) -> int:
        """Frames from the last cut to the next: the middle of the quietest window, or of the last run of equals."""
        least, window = self._bounds.shortest, self._bounds.window
        self._levels = [np.concatenate(self._levels)]
        levels = self._levels[0][self._cut - self._begin :]
        around = levels[least - window // 2 : most - window // 2 + window]
        windows = np.lib.stride_tricks.sliding_window_view(around, window)
        loudest = windows.max(1)
        sums = np.where(loudest <= loudest.min() + UNEVEN, windows.sum(1), np.inf)
        equals = np.flatnonzero(sums == sums.min())
        run = equals[equals - np.arange(len(equals)) == equals[-1] - len(equals) + 1]
        return least + int(run[len(run) // 2])

    def _piece(self, end: int | None) -> Piece:
        """The piece from the last cut to frame `end`, or to the end of the stream."""
        frame, context = self._meter.frame, self._bounds.context
        first = max(self._begin, self._cut - context)
        final = self._known if end is None else min(self._known, end + context)
        self._samples, self._levels = [np.concatenate(self._samples)], [np.concatenate(self._levels)]
        heard = self._meter.heard(self._levels[0][first - self._begin : final - self._begin])
        start, stop = first + heard.start, first + heard.stop
        samples = self._samples[0][(start - self._begin) * frame : (stop - self._begin) * frame].copy()
        core = (self._cut * frame, self.total if end is None else end * frame)
        if end is not None:
            self._cut = end
            self._drop(max(0, end - context))
        return Piece(start * frame, core, end is None, samples)

    def _drop(self, begin: int) -> None:
        """Forget what lies before frame `begin`."""
        dropped = begin - self._begin
        self._samples = [self._samples[0][dropped * self._meter.frame :].copy()]
        self._levels = [self._levels[0][dropped:].copy()]
        self._begin = begin
