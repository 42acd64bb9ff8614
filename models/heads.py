"""What stands on an encoder: nothing, a speller of tokens, a classifier, a quantiser.

A head reads packed features, so that it may look at every layer, and gives packed readings: rows per frame, or one
row per clip. From those it makes a padded output, or predictions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import CtcConfig
from models.encoder import Encoder, encode
from models.layers.linear import Linear
from models.layers.packing import Packed
from models.protocol import (
    CtcSearch,
    Embedding,
    FrameLogits,
    HiddenStates,
    Labels,
    Loss,
    Output,
    Prediction,
    Search,
    Tokens,
)
from models.search import read_tokens
from models.vocabulary import Vocabulary

Reading = tuple[Packed, ...]


class Head(Protocol):
    """The role of everything below."""

    search: type[Search] | None
    """What its predictions can be searched with; None where there is nothing to search."""

    def __call__(self, encoder: Encoder, features: Packed) -> Reading:
        """Read some clips."""
        ...

    def output(self, reading: Reading, places: "Places") -> Output:
        """A reading of all clips, padded."""
        ...

    def predict(self, reading: Reading, search: Search | None = None) -> Sequence[Prediction]:
        """One prediction per clip that was read."""
        ...

    def empty(self) -> Prediction:
        """The prediction for a clip without a frame."""
        ...

    def nothing(self) -> Reading:
        """The reading of no clip."""
        ...

    def loss(self, output: Output, labels: Labels) -> Loss:
        """What an output costs against labels."""
        ...


@dataclass(frozen=True)
class Places:
    """Where the clips that were read stand in their batch."""

    read: tuple[int, ...]
    """Their indices: every clip that has a frame."""
    lengths: Tensor
    """(clips,) frames of every clip, on the CPU."""

    def rows(self, values: Tensor) -> Tensor:
        """One row per clip that was read -> one row per clip, zeros elsewhere."""
        rows = values.new_zeros((len(self.lengths), *values.shape[1:]))
        rows[list(self.read)] = values
        return rows

    def frames(self, packed: Packed, fill: float = 0) -> Tensor:
        """Packed frames -> (clips, longest, width)."""
        longest = int(self.lengths.max()) if len(self.lengths) else 0
        rows = packed.values.new_full((len(self.lengths), longest, packed.values.shape[1]), fill)
        for index, clip in zip(self.read, packed.clips(), strict=True):
            rows[index, : len(clip)] = clip
        return rows


class NoHead(nn.Module):
    """The encoder as it is."""

    search: type[Search] | None = None

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, encoder: Encoder, features: Packed) -> Reading:
        """Features -> hidden frames."""
        hidden = encode(encoder, features)
        return (hidden.of(hidden.values.float()),)

    def output(self, reading: Reading, places: Places) -> HiddenStates:
        """Hidden frames: (clips, frames, width)."""
        return HiddenStates(places.frames(reading[0]), places.lengths)

    def predict(self, reading: Reading, search: Search | None = None) -> list[Embedding]:
        """The mean over each clip."""
        return [Embedding(vector) for vector in reading[0].means().cpu().numpy()]

    def empty(self) -> Embedding:
        """No frame, no mean."""
        return Embedding(np.empty(0, np.float32))

    def nothing(self) -> Reading:
        """No frame."""
        return (no_frame(self.width),)

    def loss(self, output: Output, labels: Labels) -> Loss:
        """A bare encoder has none."""
        raise ValueError("this checkpoint is a bare encoder: it has no head, so there is no loss")


class CtcHead(nn.Module):
    """One product, one class per frame, class `pad_token_id` meaning nothing new."""

    search: type[Search] | None = CtcSearch

    def __init__(self, width: int, config: CtcConfig) -> None:
        super().__init__()
        self.config = config
        self.project = Linear(width, config.vocab_size)
        self.vocabulary: Vocabulary | None = None
        """What tokens write, for a search that heeds words."""

    def forward(self, encoder: Encoder, features: Packed) -> Reading:
        """Features -> logits per frame."""
        hidden = encode(encoder, features)
        return (hidden.of(self.project(hidden.values).float()),)

    def output(self, reading: Reading, places: Places) -> FrameLogits:
        """Logits: (clips, frames, classes)."""
        return FrameLogits(places.frames(reading[0]), places.lengths)

    def predict(self, reading: Reading, search: Search | None = None) -> list[Tokens]:
        """Tokens, as the search says."""
        asked = search if isinstance(search, CtcSearch) else CtcSearch()
        return read_tokens(reading[0], self.config.pad_token_id, asked, self._surfaces() if asked.heeds_words else None)

    def empty(self) -> Tokens:
        """No frame, no token."""
        none = np.empty(0, np.int32)
        return Tokens(none, none, none, np.empty(0, np.float32))

    def nothing(self) -> Reading:
        """No frame."""
        return (no_frame(self.config.vocab_size),)

    def loss(self, output: Output, labels: Labels) -> Loss:
        """CTC over token ids per clip; ids below zero, and blanks, are padding."""
        assert isinstance(output, FrameLogits)
        targets = [self._targets(clip) for clip in labels]
        if len(targets) != len(output.lengths):
            raise ValueError(f"{len(targets)} label sequences for {len(output.lengths)} clips")
        counts = torch.tensor([len(clip) for clip in targets], dtype=torch.long)
        if not output.logits.numel():
            raise ValueError("no clip has a frame, so there is nothing to compare with the labels")
        per_clip = F.ctc_loss(
            output.logits.log_softmax(-1).transpose(0, 1),
            torch.cat(targets).to(output.logits.device),
            output.lengths,
            counts,
            self.config.pad_token_id,
            "none",
            self.config.ctc_zero_infinity,
        )
        if self.config.ctc_loss_reduction == "sum":
            return Loss(per_clip, per_clip.sum())
        return Loss(per_clip, (per_clip / counts.clamp_min(1).to(per_clip.device)).mean())

    def _surfaces(self) -> list[str] | None:
        if self.vocabulary is None:
            return None
        return [self.vocabulary.surface(i) for i in range(self.config.vocab_size)]

    def _targets(self, labels: object) -> Tensor:
        ids = torch.as_tensor(labels)
        if ids.ndim != 1 or (ids.numel() and ids.is_floating_point()):
            raise ValueError("labels are one sequence of whole numbers per clip")
        ids = ids.long()
        if ids.numel() and int(ids.max()) >= self.config.vocab_size:
            raise ValueError(f"label {int(ids.max())} is not below the vocabulary's size {self.config.vocab_size}")
        return ids[(ids >= 0) & (ids != self.config.pad_token_id)]


def no_frame(width: int, dtype: torch.dtype = torch.float32) -> Packed:
    """A packing of no clips."""
    return Packed(torch.empty(0, width, dtype=dtype), ())
