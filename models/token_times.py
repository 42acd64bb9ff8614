"""Where tokens lie in a clip, from what a decoder looked at while it wrote them.

Every frame goes to one token, in order, so that the tokens looked most at their own frames: a monotone path through
the attention, found by dynamic programming. Where there are more tokens than frames, neighbours share one.
"""

import numpy as np
import numpy.typing as npt
from torch import Tensor

Frames = npt.NDArray[np.int32]

LEAST = 1e-4
"""What a token is taken to look at any frame with, at least: one dark frame must not decide a path."""


def spans(looks: Tensor) -> tuple[Frames, Frames]:
    """(tokens, frames) attention -> each token's first frame, and one past its last. In order, and never empty."""
    tokens, frames = looks.shape
    if not tokens:
        return np.empty(0, np.int32), np.empty(0, np.int32)
    fine = -(-tokens // frames)  # parts of a frame, where frames are too few
    gains = np.log(np.maximum(looks.double().numpy(), LEAST)).T.repeat(fine, 0)
    starts = _starts(gains)
    ends = np.append(starts[1:], len(gains))
    return (starts // fine).astype(np.int32), (-(-ends // fine)).astype(np.int32)


def _starts(gains: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """(frames, tokens) gains -> the first frame of each token on the best path, which visits all."""
    frames, tokens = gains.shape
    best = np.full(tokens + 1, -np.inf)  # ending in token i - 1; the first entry is before any
    best[1] = gains[0, 0]
    entered = np.zeros((frames, tokens), dtype=bool)
    for frame in range(1, frames):
        entered[frame] = best[:-1] > best[1:]
        best[1:] = np.maximum(best[:-1], best[1:]) + gains[frame]
    starts = np.zeros(tokens, np.int64)
    frame = frames - 1
    for token in range(tokens - 1, 0, -1):
        while not entered[frame, token]:
            frame -= 1
        starts[token] = frame
        frame -= 1
    return starts
