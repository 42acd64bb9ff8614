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

from models.config import PROBLEM_TYPES, ClassifierConfig, CtcConfig
from models.encoder import Encoder, encode
from models.layers.packing import Packed
from models.protocol import (
    ClipLogits,
    CtcSearch,
    Embedding,
    FrameLogits,
    HiddenStates,
    Labels,
    Loss,
    Output,
    Prediction,
    PretrainingStates,
    Scores,
    Search,
    Tokens,
    Units,
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
        return (_no_frame(self.width),)

    def loss(self, output: Output, labels: Labels) -> Loss:
        """A bare encoder has none."""
        raise ValueError("this checkpoint is a bare encoder: it has no head, so there is no loss")


class CtcHead(nn.Module):
    """One product, one class per frame, class `pad_token_id` meaning nothing new."""

    search: type[Search] | None = CtcSearch

    def __init__(self, width: int, config: CtcConfig) -> None:
        super().__init__()
        self.config = config
        self.project = nn.Linear(width, config.vocab_size)
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
        return (_no_frame(self.config.vocab_size),)

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


class Classifier(nn.Module):
    """One row of scores per clip: a product, the mean over frames, a product."""

    search: type[Search] | None = None

    def __init__(self, width: int, layers: int, labels: int, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.layer_weights = nn.Parameter(torch.empty(layers + 1)) if config.use_weighted_layer_sum else None
        self.project = nn.Linear(width, config.classifier_proj_size)
        self.classify = nn.Linear(config.classifier_proj_size, labels)

    def forward(self, encoder: Encoder, features: Packed) -> Reading:
        """Features -> logits per clip."""
        hidden = encode(encoder, features) if self.layer_weights is None else self._mixed(encoder, features)
        logits = self.classify(hidden.of(self.project(hidden.values)).means())
        return (Packed(logits.float(), (1,) * len(logits)),)

    def output(self, reading: Reading, places: Places) -> ClipLogits:
        """Logits: (clips, classes)."""
        return ClipLogits(places.rows(reading[0].values), places.lengths)

    def predict(self, reading: Reading, search: Search | None = None) -> list[Scores]:
        """A distribution over labels, a probability for each, or values, as the problem is."""
        logits = reading[0].values
        if self.config.problem_type == PROBLEM_TYPES[0]:
            logits = logits.softmax(-1)
        elif self.config.problem_type == PROBLEM_TYPES[1]:
            logits = logits.sigmoid()
        return [Scores(row) for row in logits.cpu().numpy()]

    def empty(self) -> Scores:
        """No frame, no score."""
        return Scores(np.empty(0, np.float32))

    def nothing(self) -> Reading:
        """No clip."""
        return (_no_frame(self.classify.out_features),)

    def loss(self, output: Output, labels: Labels) -> Loss:
        """Cross-entropy; per label where several may hold; squared error for values.

        A clip without a frame (too short, or refused) costs nothing, and does not count in the mean.
        """
        assert isinstance(output, ClipLogits)
        logits, targets = output.logits, torch.as_tensor(labels, device=output.logits.device)
        wanted = logits.shape[:1] if self.config.problem_type == PROBLEM_TYPES[0] else logits.shape
        if targets.numel() != wanted.numel():
            raise ValueError(
                f"labels of shape {tuple(targets.shape)} for {len(logits)} clips; {tuple(wanted)} is needed"
            )
        heard = (output.lengths > 0).to(logits.device)
        if self.config.problem_type == PROBLEM_TYPES[0]:
            classes = targets.long().flatten().where(heard, -100)
            per_clip = F.cross_entropy(logits, classes, reduction="none")
            return Loss(per_clip, per_clip.sum() / (classes != -100).sum())  # -100 marks a clip without a label
        against = F.binary_cross_entropy_with_logits
        per_value = against if self.config.problem_type == PROBLEM_TYPES[1] else F.mse_loss
        per_clip = per_value(logits, targets.float().reshape(logits.shape), reduction="none").mean(1) * heard
        return Loss(per_clip, per_clip.sum() / heard.sum())

    def _mixed(self, encoder: Encoder, features: Packed) -> Packed:
        """All states by their weights, summed as they come."""
        assert self.layer_weights is not None
        mixed: Packed | None = None
        states = encoder.states(encoder.embed(features))
        for weight, state in zip(self.layer_weights.softmax(-1), states, strict=True):
            mixed = state.of(weight * state.values if mixed is None else mixed.values + weight * state.values)
        assert mixed is not None
        return mixed


@dataclass(frozen=True)
class QuantizerConfig:
    """UniSpeech's codebooks."""

    num_codevectors_per_group: int = 320
    """Codes in each codebook."""
    num_codevector_groups: int = 2
    """Codebooks."""
    codevector_dim: int = 256
    """Width of the chosen codes, side by side."""
    proj_codevector_dim: int = 256
    """Width between the two products on the chosen codes."""
    num_ctc_classes: int = 80
    """Phonemes of the pre-training objective; its product is published, and read by nothing."""

    def flaws(self) -> list[str]:
        """Values that contradict one another."""
        if self.codevector_dim % self.num_codevector_groups:
            return [f"codevector_dim {self.codevector_dim} is no multiple of num_codevector_groups"]
        return []


class Quantizer(nn.Module):
    """The nearest code of each codebook for every frame, by a product and the largest score."""

    search: type[Search] | None = None

    def __init__(self, features: int, width: int, config: QuantizerConfig) -> None:
        super().__init__()
        self.books, self.codes = config.num_codevector_groups, config.num_codevectors_per_group
        self.score = nn.Linear(features, self.books * self.codes)
        self.codevectors = nn.Parameter(torch.empty(1, self.books * self.codes, config.codevector_dim // self.books))
        self.narrow = nn.Linear(config.codevector_dim, config.proj_codevector_dim)
        self.widen = nn.Linear(config.proj_codevector_dim, width)

    def forward(self, encoder: Encoder, features: Packed) -> Reading:
        """Features -> states, projected codes, codes."""
        codes = self.score(features.values).unflatten(1, (self.books, self.codes)).argmax(-1)
        vectors = self.codevectors[0][codes + self.codes * torch.arange(self.books, device=codes.device)]
        quantized = self.widen(self.narrow(vectors.flatten(1)))
        states = encode(encoder, features)
        return states.of(states.values.float()), features.of(quantized.float()), features.of(codes)

    def output(self, reading: Reading, places: Places) -> PretrainingStates:
        """Everything padded, and each clip's perplexity."""
        states, quantized, codes = reading
        perplexities = [self._perplexity(clip) for clip in codes.clips()]
        return PretrainingStates(
            places.frames(states),
            places.frames(quantized),
            places.rows(torch.stack(perplexities) if perplexities else states.values.new_zeros(0)),
            places.frames(codes, fill=-1),
            places.lengths,
        )

    def predict(self, reading: Reading, search: Search | None = None) -> list[Units]:
        """The codes as discrete units."""
        return [Units(clip.cpu().numpy().astype(np.int32)) for clip in reading[2].clips()]

    def empty(self) -> Units:
        """No frame, no unit."""
        return Units(np.empty((0, self.books), np.int32))

    def nothing(self) -> Reading:
        """No frame."""
        width = self.widen.out_features
        return _no_frame(width), _no_frame(width), _no_frame(self.books, torch.long)

    def loss(self, output: Output, labels: Labels) -> Loss:
        """The reference leaves it out, too."""
        raise ValueError("a pre-training checkpoint has no loss here: the contrastive objective is for training")

    def _perplexity(self, codes: Tensor) -> Tensor:
        shares = F.one_hot(codes, self.codes).float().mean(0)  # (books, codes)
        return (-torch.xlogy(shares, shares).sum(-1)).exp().sum()


def _no_frame(width: int, dtype: torch.dtype = torch.float32) -> Packed:
    return Packed(torch.empty(0, width, dtype=dtype), ())
