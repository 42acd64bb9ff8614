"""When a frame is: frames counted in whole samples, so that times never drift.

A frame sees many more samples than there are to the next frame. It stands for those around the middle of what it
sees, half a step either way. Seconds are samples divided once, by whoever shows them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.layers.convolution import ConvShape

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clock:
    """A model's frames on the samples of a clip."""

    step: int
    """Samples from one frame to the next."""
    first: int
    """The sample where the first frame's span begins; below 0 where zeros come before a clip."""

    def at(self, edges: npt.ArrayLike, samples: int) -> Whole:
        """The samples where frames begin, inside a clip; that is where those before them end."""
        return (np.asarray(edges, np.int64) * self.step + self.first).clip(0, samples)

    def owned(self, frames: int, start: int, core: tuple[int, int]) -> slice:
        """The frames whose middles lie in `core`, of a window that begins at `start`: each is one window's own."""
        middles = start + self.first + self.step // 2 + self.step * np.arange(frames, dtype=np.int64)
        return slice(*np.searchsorted(middles, core).tolist())

    def start(self, frame: int, samples: int) -> int:
        """Where a frame's span begins."""
        return int(self.at(frame, samples))

    def end(self, frame: int, samples: int) -> int:
        """Where a frame's span ends."""
        return int(self.at(frame + 1, samples))


@dataclass(frozen=True)
class Timeline:
    """The frames of a recording that was heard in windows, on its samples."""

    starts: Whole
    """Where each frame's span begins, and where the last one's ends."""

    def at(self, edges: npt.ArrayLike, samples: int) -> Whole:
        """The samples where frames begin, inside a recording; that is where those before them end."""
        return self.starts[np.asarray(edges, np.int64)].clip(0, samples)


def make_clock(shape: ConvShape, hop: int, window: int) -> Clock:
    """The clock of strided convolutions over inputs that see `window` samples, every `hop` samples."""
    step, seen = shape.stride * hop, (shape.field - 1) * hop + window
    return Clock(step, (seen - step) // 2 - shape.lead * hop)
