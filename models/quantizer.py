"""UniSpeech's pre-training head: every frame as the nearest code of each codebook."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.encoder import Encoder, encode
from models.heads import Places, Reading, no_frame
from models.layers.linear import Linear
from models.layers.packing import Packed
from models.protocol import (
    Labels,
    Loss,
    Output,
    PretrainingStates,
    Search,
    Units,
)


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
        self.score = Linear(features, self.books * self.codes)
        self.codevectors = nn.Parameter(torch.empty(1, self.books * self.codes, config.codevector_dim // self.books))
        self.narrow = Linear(config.codevector_dim, config.proj_codevector_dim)
        self.widen = Linear(config.proj_codevector_dim, width)

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
        return no_frame(width), no_frame(width), no_frame(self.books, torch.long)

    def loss(self, output: Output, labels: Labels) -> Loss:
        """The reference leaves it out, too."""
        raise ValueError("a pre-training checkpoint has no loss here: the contrastive objective is for training")

    def _perplexity(self, codes: Tensor) -> Tensor:
        shares = F.one_hot(codes, self.codes).float().mean(0)  # (books, codes)
        return (-torch.xlogy(shares, shares).sum(-1)).exp().sum()
