"""Self-attention inside each clip of a packed batch."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers import packing
from models.layers.linear import Linear, linear, serves
from models.layers.packing import Packed, unpad
from models.layers.positions import rotate
from models.protocol import frame_mask

MANY_FRAMES = 256
"""From so many on, attention is sooner done by products of our own where PyTorch's own are slow."""
AT_ONCE = 512
"""Frames whose looks are held at a time."""
EVEN = 64
"""Clips are filled up to a multiple of it, so that products of few different sizes are made."""


class SelfAttention(nn.Module):
    """Query, key and value by one product, then attention, then the way out."""

    def __init__(self, width: int, heads: int, *, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.inward = Linear(width, 3 * width, bias=bias)
        self.outward = Linear(width, width, bias=bias)

    def forward(self, x: Packed) -> Tensor:
        """(frames, width) -> (frames, width)."""
        heads = self.inward(x.values).unflatten(1, (3, self.heads, -1))
        return self.outward(attend(heads, x.lengths))


class RotaryAttention(nn.Module):
    """Self-attention whose queries and keys turn with their position."""

    def __init__(self, width: int, heads: int, head_width: int, *, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.inward = Linear(width, 3 * heads * head_width, bias=bias)
        self.outward = Linear(heads * head_width, width, bias=bias)

    def forward(self, x: Packed, angles: tuple[Tensor, Tensor]) -> Tensor:
        """(frames, width) -> (frames, width)."""
        query, key, value = self.inward(x.values).unflatten(1, (3, self.heads, -1)).unbind(1)
        heads = torch.stack([rotate(query, *angles), rotate(key, *angles), value], 1)
        return self.outward(attend(heads, x.lengths))


def attend(heads: Tensor, lengths: Sequence[int]) -> Tensor:
    """Attention within each clip: (frames, 3, heads, width of a head) -> (frames, width)."""
    if len(set(lengths)) == 1:
        return _attend_batch(heads.unflatten(0, (len(lengths), lengths[0])), None).flatten(0, 1)
    if packing.fills(heads.device):
        return torch.cat([_attend_batch(clip[None], None)[0] for clip in heads.split(list(lengths))])
    padded = torch.nn.utils.rnn.pad_sequence(list(heads.split(list(lengths))), batch_first=True)
    mask = frame_mask(torch.tensor(lengths, device=heads.device), padded.shape[1])
    return unpad(_attend_batch(padded, mask[:, None, None]), lengths)


def _attend_batch(heads: Tensor, mask: Tensor | None) -> Tensor:
    """(clips, frames, 3, heads, width of a head) -> (clips, frames, width)."""
    if mask is None and heads.shape[1] >= MANY_FRAMES and serves(heads):
        return torch.stack([_attend_clip(clip) for clip in heads])
    query, key, value = heads.permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2)


def _attend_clip(heads: Tensor) -> Tensor:
    """(frames, 3, heads, width of a head) -> (frames, width), head by head, in float32."""
    frames = len(heads)
    query, key, value = F.pad(heads.float(), (0,) * 6 + (0, -frames % EVEN)).permute(1, 2, 0, 3).contiguous()
    query, value = query * query.shape[-1] ** -0.5, value.transpose(1, 2).contiguous()
    seen = torch.empty(query.shape[1], *heads.shape[2:], dtype=heads.dtype)
    for head, queries in enumerate(query):
        for start, some in zip(range(0, len(seen), AT_ONCE), queries.split(AT_ONCE), strict=True):
            looks = linear(some, key[head])
            looks[:, frames:] = -torch.inf
            seen[start : start + AT_ONCE, head] = linear(looks.softmax(-1), value[head])
    return seen[:frames].flatten(1)
