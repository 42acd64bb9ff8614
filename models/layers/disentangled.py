"""Disentangled attention: content with content, content with position, position with content.

Published as DeBERTa's. A relative position is one of 2 * span learned rows, so the two positional terms are products
with a short table, one column per distance, laid skew over the frames: nothing is gathered per pair of frames.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.linear import Linear
from models.layers.packing import Packed


@dataclass(frozen=True)
class Distances:
    """How far apart two frames count as."""

    buckets: int
    """Distances kept apart before they are spaced logarithmically; 0 or less keeps them all."""
    furthest: int
    """The largest distance that counts."""

    @property
    def span(self) -> int:
        """Learned rows on each side of zero."""
        return self.buckets if self.buckets > 0 else self.furthest

    def rows(self, frames: int, device: torch.device) -> Tensor:
        """The learned row for each distance from -(frames - 1) to frames - 1."""
        distance = torch.arange(1 - frames, frames, device=device)
        if self.buckets > 0 and self.furthest > 0:
            distance = self._bucketed(distance)
        return (distance + self.span).clamp(0, 2 * self.span - 1)

    def _bucketed(self, distance: Tensor) -> Tensor:
        # In float32 and in this order, as published: a bucket's edge must not move by rounding.
        middle = self.buckets // 2
        near = (distance < middle) & (distance > -middle)
        size = torch.where(near, torch.tensor(middle - 1).type_as(distance), distance.abs())
        steps = torch.log(size / middle) / torch.log(torch.tensor((self.furthest - 1) / middle))
        far = torch.ceil(steps * (middle - 1)) + middle
        return torch.where(size <= middle, distance.type_as(far), far * distance.sign()).long()


@dataclass(frozen=True)
class PositionTables:
    """What a layer's positions look like to its queries and keys, already scaled; None where unused."""

    keys: Tensor | None
    """(heads, rows, width of a head)"""
    queries: Tensor | None
    """(heads, rows, width of a head)"""


class DisentangledAttention(nn.Module):
    """Self-attention with the positional terms that `kinds` names (c2p, p2c)."""

    def __init__(
        self, width: int, heads: int, distances: Distances | None, kinds: Sequence[str], *, shared: bool
    ) -> None:
        super().__init__()
        self.heads, self.distances, self.shared = heads, distances, shared
        self.kinds = frozenset(kinds) & {"c2p", "p2c"}
        self.scale = 1 / math.sqrt(width // heads * (1 + len(self.kinds)))
        self.inward = Linear(width, 3 * width)
        own = distances is not None and not shared
        self.position_keys = Linear(width, width) if own and "c2p" in self.kinds else None
        self.position_queries = Linear(width, width) if own and "p2c" in self.kinds else None
        self.outward = Linear(width, width)
        self.tables: PositionTables | None = None

    def __getstate__(self) -> dict[str, object]:
        """A copy, or a model on its way to another process, makes its own tables."""
        return self.__dict__ | {"tables": None}

    def prepare(self, positions: Tensor | None) -> None:
        """Project the learned positions once; the encoder calls it again when a weight behind them changes."""
        self.tables = self._tables(positions)

    def forward(self, x: Packed, positions: Tensor | None) -> Tensor:
        """(frames, width) and the learned positions (rows, width) -> (frames, width)."""
        tables = self._tables(positions) if self.tables is None or self.inward.weight.requires_grad else self.tables
        heads = self.inward(x.values).unflatten(1, (3, self.heads, -1))
        if x.uniform:
            batch = heads.unflatten(0, (len(x.lengths), x.lengths[0]))
            return self.outward(self._attend(batch, tables).flatten(0, 1))
        clips = heads.split(x.lengths)
        return self.outward(torch.cat([self._attend(clip[None], tables)[0] for clip in clips]))

    def _attend(self, heads: Tensor, tables: PositionTables) -> Tensor:
        """(clips, frames, 3, heads, width of a head) -> (clips, frames, width)."""
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        bias = self._bias(query, key, tables)
        y = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=self.scale)
        return y.transpose(1, 2).flatten(2)

    def _bias(self, query: Tensor, key: Tensor, tables: PositionTables) -> Tensor | None:
        """The positional terms: (clips, heads, frames, frames), or None."""
        if self.distances is None or not self.kinds:
            return None
        rows = self.distances.rows(query.shape[2], query.device)
        terms = []
        if tables.keys is not None:  # a query at t sees a key at s over the distance t - s: columns run backwards
            terms.append(_over_distances(query, tables.keys[:, rows.flip(0)]))
        if tables.queries is not None:  # seen from the key at s, the columns run forwards
            terms.append(_over_distances(key, tables.queries[:, rows]).transpose(2, 3))
        return terms[0] + terms[1] if len(terms) == 2 else terms[0].contiguous()

    def _tables(self, positions: Tensor | None) -> PositionTables:
        if self.distances is None or positions is None:
            return PositionTables(None, None)
        rows = positions[: 2 * self.distances.span]
        keys, queries = self._position_keys(rows), self._position_queries(rows)
        return PositionTables(self._split(keys), self._split(queries))

    def _position_keys(self, rows: Tensor) -> Tensor | None:
        if "c2p" not in self.kinds:
            return None
        if self.position_keys is not None:
            return self.position_keys(rows)
        _, weight, _ = self.inward.weight.chunk(3)
        return F.linear(rows, weight, self.inward.bias.chunk(3)[1])

    def _position_queries(self, rows: Tensor) -> Tensor | None:
        if "p2c" not in self.kinds:
            return None
        if self.position_queries is not None:
            return self.position_queries(rows)
        weight, _, _ = self.inward.weight.chunk(3)
        return F.linear(rows, weight, self.inward.bias.chunk(3)[0])

    def _split(self, table: Tensor | None) -> Tensor | None:
        return None if table is None else (self.scale * table).unflatten(1, (self.heads, -1)).transpose(0, 1)


BLOCK = 128
"""Frames whose distances are multiplied at once: fewer columns are computed in vain, but products get smaller."""


def _over_distances(x: Tensor, table: Tensor) -> Tensor:
    """Row i of `x` times the `frames` rows of `table` that start at frames - 1 - i: (clips, heads, frames, frames)."""
    frames = x.shape[2]
    if frames <= BLOCK:
        return _skewed(torch.matmul(x, table.transpose(1, 2)))
    blocks = []
    for start in range(0, frames, BLOCK):
        block = x[:, :, start : start + BLOCK]
        first = frames - start - block.shape[2]
        columns = table[:, first : first + frames + block.shape[2] - 1]
        blocks.append(_skewed(torch.matmul(block, columns.transpose(1, 2))))
    return torch.cat(blocks, 2)


def _skewed(columns: Tensor) -> Tensor:
    """(clips, heads, n, n - 1 + m) -> the (clips, heads, n, m) view whose row i starts n - 1 - i columns in."""
    clips, heads, rows, width = columns.shape
    columns = columns.contiguous()
    return columns.as_strided(
        (clips, heads, rows, width - rows + 1),
        (heads * rows * width, rows * width, width - 1, 1),
        columns.storage_offset() + rows - 1,
    )
