"""The role that every family's encoder plays, and how a family describes one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from models.layers.convolution import ConvShape
from models.layers.packing import Packed
from models.weights import Row


class Encoder(Protocol):
    """Inputs to hidden frames, in four steps that heads can stop between."""

    width: int
    """Width of a hidden frame."""
    depth: int
    """Layers."""
    shape: ConvShape
    """Of the convolutions that make frames of inputs."""
    longest: int | None
    """Inputs of a clip, at most; None where any number will do."""
    squeeze: int
    """Hidden frames that the layers see as one."""

    def frames(self, inputs: int) -> int:
        """Hidden frames of a clip with that many inputs (samples or feature frames)."""
        ...

    def extract(self, inputs: Tensor, lengths: Sequence[int]) -> Packed:
        """Padded inputs -> convolution features."""
        ...

    def embed(self, features: Packed) -> Packed:
        """Features -> what the first layer reads."""
        ...

    def states(self, x: Packed) -> Iterator[Packed]:
        """What the first layer reads, then what each layer returns."""
        ...

    def finish(self, last: Packed, features: Packed) -> Packed:
        """The last layer's state -> hidden frames."""
        ...

    def prepare(self) -> None:
        """Keep what follows from the weights."""
        ...


@dataclass(frozen=True)
class Design:
    """What a configuration describes: an encoder without weights, and where they come from."""

    encoder: Encoder
    layers: int
    """Its layers."""
    features: int
    """Width of its convolution features."""
    rows: tuple[Row, ...]
    """Its lines of the weight table, as named in a bare checkpoint."""
    unused: Mapping[str, tuple[int, ...]]
    """Published tensors that inference does not read."""
    problems: tuple[str, ...]
    """Configuration values that are not supported."""


def encode(encoder: Encoder, features: Packed) -> Packed:
    """Features -> hidden frames."""
    x = encoder.embed(features)
    for state in encoder.states(x):
        x = state
    return encoder.finish(x, features)
