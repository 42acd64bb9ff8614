"""The two products between which an activation stands."""

import torch
from torch import Tensor, nn

from models.layers.activations import ACTIVATIONS
from models.layers.linear import Linear


class FeedForward(nn.Module):
    """Widen, activate, narrow."""

    def __init__(
        self, width: int, inner: int, activation: str, *, bias: bool = True, product: type[Linear] = Linear
    ) -> None:
        super().__init__()
        self.widen = product(width, inner, bias=bias)
        self.activate = ACTIVATIONS[activation]
        self.narrow = product(inner, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(frames, width) -> (frames, width)."""
        return self.narrow(self.activate(self.widen(x)))


class Adapter(nn.Module):
    """The small bottleneck that a language adapter adds after a layer."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.narrow = Linear(width, inner)
        self.widen = Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """(frames, width) -> (frames, width)."""
        return self.widen(torch.relu(self.narrow(self.norm(x))))
