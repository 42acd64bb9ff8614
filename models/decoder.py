"""Speech2Text's decoder: token ids and a clip's frames to states that score the next token.

A finished text is read at once (`forward`). While texts are written, every clip has a few readings side by side
(`step`): they share the clip's memory, and one cache holds what any of them said. A reading that follows another
copies nothing: it takes over the other's path through the cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.decoding import DecoderLayer, Keep, LookAcross, Pair
from models.layers.packing import Packed
from models.layers.positions import Sinusoids
from models.protocol import frame_mask
from models.speech2text import Speech2TextConfig

ROOM = 32
"""Steps that a cache has room for at first; it doubles when it is full."""


@dataclass(frozen=True)
class Memory:
    """What a decoder knows of some clips, for every layer."""

    pairs: tuple[Pair, ...]
    mask: Tensor | None
    """True where a frame is real: (clips, 1, 1, frames). None where all are."""

    def keep(self, clips: Tensor) -> "Memory":
        """Of these clips alone."""
        pairs = tuple((keys[clips], values[clips]) for keys, values in self.pairs)
        return Memory(pairs, None if self.mask is None else self.mask[clips])


class Decoder(nn.Module):
    """Tokens to states."""

    def __init__(self, config: Speech2TextConfig) -> None:
        super().__init__()
        width = config.d_model
        self.pad = config.pad_token_id
        self.scale = width**0.5 if config.scale_embedding else 1.0
        self.embed = nn.Embedding(config.vocab_size, width)
        self.places = Sinusoids(width, config.pad_token_id)
        heads, inner = config.decoder_attention_heads, config.decoder_ffn_dim
        layers = (DecoderLayer(width, heads, inner, config.activation_function) for _ in range(config.decoder_layers))
        self.layers = nn.ModuleList(layers)
        self.norm_last = nn.LayerNorm(width)

    def remember(self, hidden: Packed) -> Memory:
        """Hidden frames -> what every layer will look at."""
        frames = hidden.padded()
        lengths = torch.tensor(hidden.lengths, device=frames.device)
        mask = None if hidden.uniform else frame_mask(lengths, frames.shape[1])[:, None, None]
        across = [cast(LookAcross, layer.get_submodule("across")) for layer in self.layers]
        return Memory(tuple(look.remember(frames) for look in across), mask)

    def forward(self, ids: Tensor, memory: Memory) -> tuple[Tensor, list[Tensor]]:
        """(clips, tokens) -> states (clips, tokens, width), and what each layer looked at.

        A padding token has no place, and is not counted in its followers'.
        """
        real = ids != self.pad
        x = self._embed(ids, real.cumsum(1) * real + self.pad)
        causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool, device=ids.device).tril()
        return self._through(x, [_all] * len(self.layers), causal, memory)

    def step(self, ids: Tensor, past: "Past", memory: Memory) -> Tensor:
        """(clips, beams) -> the next states (clips, beams, width)."""
        x = self._embed(ids, (past.steps + 1) * (ids != self.pad) + self.pad)
        past.begin(len(self.layers))
        keeps = [past.keeper(layer) for layer in range(len(self.layers))]
        states, _ = self._through(x, keeps, past.mask(x.dtype), memory)
        return states

    def _embed(self, ids: Tensor, places: Tensor) -> Tensor:
        x = self.embed(ids) * self.scale
        return x + self.places(places).to(x.dtype)

    def _through(
        self, x: Tensor, keeps: Sequence[Keep], back: Tensor | None, memory: Memory
    ) -> tuple[Tensor, list[Tensor]]:
        looks = []
        for layer, keep, pair in zip(self.layers, keeps, memory.pairs, strict=True):
            x, looked = layer(x, keep, pair, back=back, across=memory.mask)
            looks.append(looked)
        return self.norm_last(x), looks


class Past:
    """Keys and values of every token that any reading of a clip had, step by step."""

    def __init__(self, clips: int, beams: int, device: torch.device) -> None:
        self.steps, self.beams = 0, beams
        self.pairs: list[Pair] = []
        self.path = torch.empty(clips, beams, 0, dtype=torch.long, device=device)
        """(clips, beams, steps): whose row of each step a reading goes through."""

    def begin(self, layers: int) -> None:
        """A new step: every reading has a row of its own."""
        own = torch.arange(self.beams, device=self.path.device).expand(len(self.path), -1)
        self.path = torch.cat([self.path, own[..., None]], 2)
        self.steps += 1
        if self.steps == 1:
            self.pairs = [(torch.empty(0), torch.empty(0))] * layers

    def keeper(self, layer: int) -> Keep:
        """Where a layer keeps this step, and finds all."""

        def keep(key: Tensor, value: Tensor) -> Pair:
            end = self.steps * self.beams
            pair = self.pairs[layer]
            if pair[0].dim() < key.dim() or pair[0].shape[2] < end:
                pair = self.pairs[layer] = _grown(pair[0], key, end), _grown(pair[1], value, end)
            for kept, new in zip(pair, (key, value), strict=True):
                kept[:, :, end - self.beams : end] = new
            return pair[0][:, :, :end], pair[1][:, :, :end]

        return keep

    def mask(self, dtype: torch.dtype) -> Tensor | None:
        """Zero where a row is on a reading's path, else minus infinity: (clips, 1, beams, steps x beams)."""
        if self.beams == 1:
            return None
        rows = torch.arange(self.beams, device=self.path.device)
        others = (self.path[..., None] != rows).flatten(2)[:, None]
        return torch.zeros(others.shape, dtype=dtype, device=others.device).masked_fill_(others, -torch.inf)

    def follow(self, parents: Tensor) -> None:
        """Each reading goes on from another: (clips, beams)."""
        self.path = self.path.gather(1, parents[..., None].expand_as(self.path))

    def keep(self, clips: Tensor) -> None:
        """Forget the other clips."""
        self.path = self.path[clips]
        end = self.steps * self.beams
        self.pairs = [(keys[clips, :, :end], values[clips, :, :end]) for keys, values in self.pairs]


def _all(key: Tensor, value: Tensor) -> Pair:
    return key, value


def _grown(kept: Tensor, new: Tensor, end: int) -> Tensor:
    """Room for twice as many steps, with what was kept."""
    beams = new.shape[2]
    old = new[:, :, :0] if kept.dim() < new.dim() else kept
    return F.pad(old, (0, 0, 0, max(ROOM * beams, 2 * end) - old.shape[2]))
