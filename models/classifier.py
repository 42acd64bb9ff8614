"""One row of scores per clip: the published sequence classifiers."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from models.config import PROBLEM_TYPES, ClassifierConfig
from models.encoder import Encoder, encode
from models.heads import Places, Reading, no_frame
from models.layers.linear import Linear
from models.layers.packing import Packed
from models.protocol import (
    ClipLogits,
    Labels,
    Loss,
    Output,
    Scores,
    Search,
)


class Classifier(nn.Module):
    """One row of scores per clip: a product, the mean over frames, a product."""

    search: type[Search] | None = None

    def __init__(self, width: int, layers: int, labels: int, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.layer_weights = nn.Parameter(torch.empty(layers + 1)) if config.use_weighted_layer_sum else None
        self.project = Linear(width, config.classifier_proj_size)
        self.classify = Linear(config.classifier_proj_size, labels)

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
        return (no_frame(self.classify.out_features),)

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
        if not bool(output.lengths.any()):
            raise ValueError("no clip has a frame, so there is nothing to compare with the labels")
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
