"""Where tokens stand in the frames: the likeliest path that collapses to them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.beam import NEVER, Frames
from models.protocol import Tokens


def place_tokens(frames: Frames, tokens: Sequence[Sequence[int]], temperature: float = 1.0) -> list[Tokens]:
    """The frames of each clip's tokens, and the mean posterior of each over its frames at a temperature."""
    states, allowed = _states(frames, tokens)
    path = _best_path(frames, states, allowed, [2 * len(clip) + 1 for clip in tokens])
    labels = states.gather(1, path)  # (clips, frames)
    values = frames.values if temperature == 1 else (frames.values / temperature).log_softmax(-1)
    posteriors = values.gather(2, labels[:, :, None])[:, :, 0].exp()
    results = zip(path.cpu().numpy(), posteriors.cpu().numpy(), frames.lengths, tokens, strict=True)
    return [_placed(np.asarray(p[:n]), np.asarray(s[:n]), ids) for p, s, n, ids in results]


def _states(frames: Frames, tokens: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """A blank, a token, a blank, ...: (clips, states), and which may be reached from two states back."""
    states = torch.full((len(tokens), 2 * max(map(len, tokens), default=0) + 1), frames.blank)
    for row, clip in zip(states, tokens, strict=True):
        row[1 : 2 * len(clip) : 2] = torch.tensor(clip, dtype=torch.long)
    allowed = torch.zeros_like(states, dtype=torch.bool)
    allowed[:, 3::2] = states[:, 3::2] != states[:, 1:-2:2]
    return states.to(frames.values.device), allowed.to(frames.values.device)


def _best_path(frames: Frames, states: Tensor, allowed: Tensor, counts: Sequence[int]) -> Tensor:
    """The state of each frame: (clips, frames)."""
    clips, width = states.shape
    score = frames.values.new_full((clips, width), NEVER)
    score[:, 0] = 0  # the state before the first frame: its blank
    steps: list[Tensor] = []
    for t in range(frames.lengths[0]):
        active = sum(length > t for length in frames.lengths)
        stay = score[:active]
        one = torch.cat([stay.new_full((active, 1), NEVER), stay[:, :-1]], 1)
        two = torch.cat([stay.new_full((active, 2), NEVER), stay[:, :-2]], 1)[:, :width]
        best = torch.stack([stay, one, two.masked_fill(~allowed[:active], NEVER)]).max(0)
        here = best.values + frames.values[:active, t].gather(1, states[:active])
        score = torch.cat([here, score[active:]])
        steps.append(best.indices.to(torch.int8))
    ends = torch.tensor(counts, device=states.device) - 1
    last = torch.stack([ends, (ends - 1).clamp_min(0)], 1)
    state = last.gather(1, score.gather(1, last).argmax(1, keepdim=True))
    path = torch.zeros(clips, len(steps), dtype=torch.long, device=states.device)
    for t in range(len(steps) - 1, -1, -1):
        active = len(steps[t])
        path[:active, t] = state[:active, 0]
        state[:active] = state[:active] - steps[t].gather(1, state[:active]).long()
    return path


def _placed(path: "np.ndarray[tuple[int], np.dtype[np.int64]]", scores: np.ndarray, ids: Sequence[int]) -> Tokens:
    odd = path % 2 == 1
    token, frame = path[odd] // 2, np.nonzero(odd)[0]
    starts = np.searchsorted(token, np.arange(len(ids)), side="left")
    ends = np.searchsorted(token, np.arange(len(ids)), side="right")
    sums = np.concatenate([[0.0], np.cumsum(scores[odd])])
    means = (sums[ends] - sums[starts]) / np.maximum(ends - starts, 1)
    first, past = frame[starts], frame[ends - 1] + 1
    return Tokens(np.asarray(ids, np.int32), first.astype(np.int32), past.astype(np.int32), means.astype(np.float32))
