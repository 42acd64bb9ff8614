"""Cut a stream into windows of one length, each so far behind the one before.

The last one ends with the stream, and may be shorter. Only the stream's length decides where they lie.
"""

from collections.abc import Iterator

import numpy as np

from pipeline.audio.cutting import Piece
from pipeline.schema import Samples


class Windows:
    """Holds what the next window may need."""

    def __init__(self, window: int, hop: int) -> None:
        self._window, self._hop = window, hop
        self._rest = np.zeros(0, np.float32)
        self._begin = 0  # the sample at which the next window begins
        self.total = 0
        """Samples so far."""

    def push(self, samples: Samples) -> Iterator[Piece]:
        """Take more of the stream; give the windows after which there is more."""
        self._rest = np.concatenate([self._rest, samples])
        self.total += len(samples)
        while len(self._rest) > self._window:
            yield self._piece(self._rest[: self._window].copy(), last=False)
            self._begin += self._hop
            self._rest = self._rest[self._hop :]

    def flush(self) -> Iterator[Piece]:
        """The end: the window that reaches it."""
        yield self._piece(self._rest, last=True)

    def _piece(self, samples: Samples, *, last: bool) -> Piece:
        core = (self._begin, self._begin + len(samples))
        return Piece(self._begin, core, last, samples if samples.any() else np.zeros(0, np.float32))
