"""Where tokens lie in a clip, from what a decoder looked at while it wrote them.

Every frame goes to one token, in order, so that tokens looked most at their own frames and last about as long as what
they write: the best such path, found by dynamic programming over where each token ends. Looks alone would not do: a
decoder looks ahead, or at what it knows already. Where there are more tokens than frames, neighbours share one.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

Frames = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

ANYWHERE = 0.3
"""The share of looks that mean nothing: they may go to any frame."""
SPREAD = 0.5
"""Deviation of the logarithm of a token's length from what its letters make expect: two in three are within a factor
of 1.6."""
SILENT, LEAST = 0.02, 0.3
"""What a quiet frame counts for in a token's length, and the length below which none is any shorter."""
LONGEST, SLOWEST = 100, 4
"""Frames that a token lasts at most, or so many times the mean, whichever is more."""


def spans(looks: Tensor, letters: Sequence[float], loud: Floats) -> tuple[Frames, Frames]:
    """(tokens, frames) attention -> each token's first frame, and one past its last. In order, and never empty.

    `letters` is what each token writes, which is above zero for all; `loud` is the share of each frame that is not
    quiet.
    """
    tokens, frames = looks.shape
    if not tokens:
        return np.empty(0, np.int32), np.empty(0, np.int32)
    fine = -(-tokens // frames)  # parts of a frame, where frames are too few
    gains = np.log((1 - ANYWHERE) * looks.double().numpy() + ANYWHERE / frames).T.repeat(fine, 0)
    clock = np.append(0.0, (SILENT + loud).repeat(fine).cumsum())
    shares = np.asarray(letters, np.float64)
    ends = _ends(gains, clock, clock[-1] * shares / shares.sum())
    starts = np.append(0, ends[:-1])
    return (starts // fine).astype(np.int32), (-(-ends // fine)).astype(np.int32)


def _ends(gains: Floats, clock: Floats, expected: Floats) -> npt.NDArray[np.int64]:
    """(frames, tokens) gains -> one past the last frame of each token on the best path.

    `clock` is how long it has not been quiet, from one edge of a frame to the next; `expected` is what each token
    should last by it.
    """
    frames, tokens = gains.shape
    longest = min(frames, max(LONGEST, -(-SLOWEST * frames // tokens)))
    until = np.concatenate([np.zeros((1, tokens)), gains.cumsum(0)])
    lengths = clock[:, None] - _windows(np.append(np.zeros(longest), clock), longest)
    logs = np.log(np.maximum(lengths, LEAST))  # (ends, starts): the farthest first
    scores = np.empty_like(logs)
    best = np.append(0.0, np.full(frames, -np.inf))  # of the tokens so far, by where the last one ends
    lasted = np.zeros((tokens, frames + 1), np.int64)
    for token in range(tokens):
        begun = np.append(np.full(longest, -np.inf), best - until[:, token])
        np.subtract(logs, np.log(expected[token]), out=scores)
        scores *= scores
        scores *= -0.5 / SPREAD**2
        scores += _windows(begun, longest)
        chosen = scores.argmax(1)
        best = scores[np.arange(frames + 1), chosen] + until[:, token]
        lasted[token] = longest - chosen
    ends = np.full(tokens, frames, np.int64)
    for token in range(tokens - 1, 0, -1):
        ends[token - 1] = ends[token] - lasted[token, ends[token]]
    return ends


def _windows(values: Floats, size: int) -> Floats:
    """What comes before each value but the first ones: (values - size, size)."""
    return np.lib.stride_tricks.sliding_window_view(values, size)[:-1]
