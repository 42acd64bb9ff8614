"""From frames to tokens."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.layers.packing import Packed
from models.protocol import Tokens


def greedy(logits: Packed, blank: int) -> list[Tokens]:
    """The best class of each frame, repeats joined and blanks dropped, clip by clip.

    Collapsed where the logits are; only the kept tokens leave the device. A token's score is the mean posterior of
    its frames.
    """
    best, ids = logits.values.max(-1)
    posteriors = (best - logits.values.logsumexp(-1)).exp()
    starts = _run_starts(ids, logits)
    run = starts.cumsum(0) - 1  # the run that each frame belongs to
    first = starts.nonzero()[:, 0]
    count = torch.bincount(run, minlength=len(first))
    sums = torch.zeros(len(first), device=run.device, dtype=torch.float32).index_add_(0, run, posteriors.float())
    kept = ids[first] != blank
    table = torch.stack([ids[first], first, first + count])[:, kept].cpu().numpy().astype(np.int32)
    return _by_clip(table, (sums / count)[kept].cpu().numpy(), logits.lengths)


def _run_starts(ids: Tensor, logits: Packed) -> Tensor:
    starts = torch.ones_like(ids, dtype=torch.bool)
    starts[1:] = ids[1:] != ids[:-1]
    starts[logits.positions() == 0] = True
    return starts


def _by_clip(table: npt.NDArray[np.int32], scores: npt.NDArray[np.float32], lengths: tuple[int, ...]) -> list[Tokens]:
    edges = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    cuts = np.searchsorted(table[1], edges)
    clips = zip(cuts, cuts[1:], edges, strict=False)
    return [
        Tokens(table[0, a:b].copy(), table[1, a:b] - offset, table[2, a:b] - offset, scores[a:b].copy())
        for a, b, offset in clips
    ]
