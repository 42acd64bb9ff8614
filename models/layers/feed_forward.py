"""The two products between which an activation stands."""

import torch
from torch import Tensor, nn

from models.layers.activations import ACTIVATIONS
from models.layers.linear import MOST_ROWS, Linear, serves


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
        parts = x.split(MOST_ROWS) if serves(x) else [x]
        products = [self.narrow(self.activate(self.widen(part))) for part in parts]
        return products[0] if len(products) == 1 else torch.cat(products)


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
