"""A decoder's layer: tokens look back at their own, then at the clip.

Tokens lie (clips, tokens, width). What "their own" are is the caller's affair: all tokens of a finished text at once,
or, while one is written, the readings of a clip side by side, one token each.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.feed_forward import FeedForward
from models.layers.linear import FewRows, Linear

Pair = tuple[Tensor, Tensor]
"""Keys and values: two of (clips, heads, places, width of a head)."""
Keep = Callable[[Tensor, Tensor], Pair]
"""New keys and values -> all that may be looked back at."""


class LookBack(nn.Module):
    """Attention of tokens to tokens."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inward = FewRows(width, 3 * width)
        self.outward = FewRows(width, width)

    def forward(self, x: Tensor, keep: Keep, mask: Tensor | None) -> Tensor:
        """(clips, tokens, width) -> the same; `mask` is True where a token may look, or what is added to its scores."""
        query, key, value = self.inward(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, *keep(key, value), attn_mask=mask)
        return self.outward(seen.transpose(1, 2).flatten(2))


class LookAcross(nn.Module):
    """Attention of tokens to frames."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = FewRows(width, width)
        self.memory = Linear(width, 2 * width)
        self.outward = FewRows(width, width)

    def remember(self, frames: Tensor) -> Pair:
        """(clips, frames, width) -> keys and values, once for all tokens."""
        key, value = self.memory(frames).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return key.contiguous(), value.contiguous()

    def forward(self, x: Tensor, memory: Pair, mask: Tensor | None) -> Pair:
        """(clips, tokens, width) -> the same, and what each head looked at: (clips, heads, tokens, frames)."""
        query = self.query(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        scores = (query * query.shape[-1] ** -0.5) @ memory[0].transpose(2, 3)
        looks = (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(-1)
        return self.outward((looks @ memory[1]).transpose(1, 2).flatten(2)), looks


class DecoderLayer(nn.Module):
    """A norm before each of its three parts."""

    def __init__(self, width: int, heads: int, inner: int, activation: str) -> None:
        super().__init__()
        self.norm_back = nn.LayerNorm(width)
        self.back = LookBack(width, heads)
        self.norm_across = nn.LayerNorm(width)
        self.across = LookAcross(width, heads)
        self.norm_feed_forward = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, inner, activation, product=FewRows)

    def forward(
        self, x: Tensor, keep: Keep, memory: Pair, *, back: Tensor | None, across: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """(clips, tokens, width) -> the same, and what was looked at; the masks as of the two parts."""
        x = x + self.back(self.norm_back(x), keep, back)
        seen, looks = self.across(self.norm_across(x), memory, across)
        x = x + seen
        return x + self.feed_forward(self.norm_feed_forward(x)), looks
