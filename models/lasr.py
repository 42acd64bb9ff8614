"""LASR, the conformer of MedASR: log-mel features to one frame every 40 ms.

A block is half a feed-forward, attention with rotary positions, a convolution, half a feed-forward. Its residual sums
are weighted (1.5 and 0.5 around feed-forwards, 2 and 1 around convolutions): not a slip, the checkpoint has it so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.config import Json, at_least, choice, read, refuse, require_sound
from models.encoder import Design
from models.layers.activations import ACTIVATIONS
from models.layers.attention import RotaryAttention
from models.layers.convolution import ConvShape, DepthwiseConvolution, StridedConvolution
from models.layers.feed_forward import FeedForward
from models.layers.linear import Linear
from models.layers.packing import Packed
from models.layers.positions import Rotary
from models.weights import Fused, NormedDepthwise, Pointwise, Row, Taps, same


@dataclass(frozen=True)
class LasrConfig:
    """A published LASR encoder configuration."""

    hidden_size: int = 512
    """Width of a frame."""
    num_hidden_layers: int = 17
    """Blocks."""
    num_attention_heads: int = 8
    """Heads of each block."""
    head_dim: int = at_least(0, 0)
    """Width of a head; 0 shares `hidden_size` among the heads."""
    intermediate_size: int = 2048
    """Width inside the feed-forwards."""
    hidden_act: str = choice("silu", ACTIVATIONS)
    """The activation of feed-forwards and convolutions."""
    attention_bias: bool = False
    """Whether the products of attention and feed-forwards have a bias."""
    convolution_bias: bool = False
    """Whether the convolutions have a bias."""
    conv_kernel_size: int = 32
    """Frames that a block's convolution sees."""
    subsampling_conv_channels: int = 256
    """Channels of the second strided convolution."""
    num_mel_bins: int = 128
    """Width of the features."""
    subsampling_conv_kernel_size: int = 5
    """Frames that each strided convolution sees."""
    subsampling_conv_stride: int = 2
    """Frames from one output of a strided convolution to the next."""
    layer_norm_eps: float = 1e-6
    """Added to the variance in every norm."""
    feed_forward_residual_weights: tuple[float, ...] = (1.5, 0.5)
    """What goes around a feed-forward, and what comes out of it."""
    conv_residual_weights: tuple[float, ...] = (2.0, 1.0)
    """What goes around a convolution, and what comes out of it."""

    @property
    def head_width(self) -> int:
        """Width of a head."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def shape(self) -> ConvShape:
        """The strided convolutions' sizes."""
        kernel, stride = self.subsampling_conv_kernel_size, self.subsampling_conv_stride
        return ConvShape((self.hidden_size, self.subsampling_conv_channels), (kernel,) * 2, (stride,) * 2)

    def flaws(self) -> list[str]:
        """Values that contradict one another."""
        flaws = []
        if self.head_width % 2:
            flaws.append(f"head_dim {self.head_width} is odd; rotary positions turn pairs")
        if not self.head_dim and self.hidden_size % self.num_attention_heads:
            flaws.append(f"hidden_size {self.hidden_size} is no multiple of num_attention_heads")
        names = ("feed_forward_residual_weights", "conv_residual_weights")
        return flaws + [f"{name} must be two numbers" for name in names if len(getattr(self, name)) != 2]


@dataclass(frozen=True)
class RopeConfig:
    """Rotary positions, as `rope_parameters` states them."""

    rope_type: str = choice("default", {"default", "linear"})
    """`linear` divides positions by `factor`."""
    rope_theta: float = 10_000.0
    """The base of the angles' rates."""
    factor: float = 1.0
    """How far positions are stretched, for `linear`."""


class Convolution(nn.Module):
    """A gated convolution over time, its batch norm folded in."""

    def __init__(self, config: LasrConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.gate = Linear(width, 2 * width, bias=config.convolution_bias)
        self.depthwise = DepthwiseConvolution(width, config.conv_kernel_size)
        self.activate = ACTIVATIONS[config.hidden_act]
        self.outward = Linear(width, width, bias=config.convolution_bias)

    def forward(self, x: Packed) -> Tensor:
        """(frames, width) -> (frames, width)."""
        gated = x.of(F.glu(self.gate(x.values), -1))
        return self.outward(self.activate(self.depthwise(gated).values))


class Block(nn.Module):
    """One conformer block."""

    def __init__(self, config: LasrConfig) -> None:
        super().__init__()
        width, bias = config.hidden_size, config.attention_bias
        inner, act = config.intermediate_size, config.hidden_act
        self.norm_first = _norm(config)
        self.first = FeedForward(width, inner, act, bias=bias)
        self.norm_attention = _norm(config)
        self.attention = RotaryAttention(width, config.num_attention_heads, config.head_width, bias=bias)
        self.norm_convolution = _norm(config)
        self.convolution = Convolution(config)
        self.norm_second = _norm(config)
        self.second = FeedForward(width, inner, act, bias=bias)
        self.norm_last = _norm(config)
        self.around_feed_forward, self.of_feed_forward = config.feed_forward_residual_weights
        self.around_convolution, self.of_convolution = config.conv_residual_weights

    def forward(self, x: Packed, angles: tuple[Tensor, Tensor]) -> Packed:
        """(frames, width) -> (frames, width)."""
        y = self._sum(x.values, self.first(self.norm_first(x.values)))
        y = y + self.attention(x.of(self.norm_attention(y)), angles)
        convolved = self.convolution(x.of(self.norm_convolution(y)))
        y = torch.add(self.around_convolution * y, convolved, alpha=self.of_convolution)
        y = self._sum(y, self.second(self.norm_second(y)))
        return x.of(self.norm_last(y))

    def _sum(self, around: Tensor, through: Tensor) -> Tensor:
        return torch.add(self.around_feed_forward * around, through, alpha=self.of_feed_forward)


class LasrEncoder(nn.Module):
    """Log-mel features to hidden frames."""

    longest: int | None = None
    squeeze = 1

    def __init__(self, config: LasrConfig, rope: RopeConfig) -> None:
        super().__init__()
        self.shape, self.width, self.depth = config.shape, config.hidden_size, config.num_hidden_layers
        kernel, stride = config.subsampling_conv_kernel_size, config.subsampling_conv_stride
        self.widen = Linear(config.num_mel_bins, config.hidden_size)
        self.first = StridedConvolution(config.hidden_size, config.hidden_size, kernel, stride, bias=True)
        channels = config.subsampling_conv_channels
        self.second = StridedConvolution(config.hidden_size, channels, kernel, stride, bias=True)
        self.project = Linear(channels, config.hidden_size)
        scale = rope.factor if rope.rope_type == "linear" else 1.0
        self.rotary = Rotary(config.head_width, rope.rope_theta, scale)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm_last = _norm(config)

    def frames(self, features: int) -> int:
        """Frames of a clip."""
        return self.shape.frames(features)

    def extract(self, mels: Tensor, lengths: Sequence[int]) -> Packed:
        """(clips, feature frames, mels) -> subsampled frames."""
        rows = zip(mels.to(self.widen.weight.dtype), lengths, strict=True)
        clips = [self._subsample(row[:frames]) for row, frames in rows]
        return Packed(self.project(torch.cat(clips)), tuple(map(len, clips)))

    def embed(self, features: Packed) -> Packed:
        """The subsampled frames are what the first block reads."""
        return features

    def states(self, x: Packed) -> Iterator[Packed]:
        """What the first block reads, then what each block returns; the last one normalised, as published."""
        yield x
        angles = self.rotary(x)
        for block in self.blocks[:-1]:
            x = block(x, angles)
            yield x
        yield x.of(self.norm_last(self.blocks[-1](x, angles).values))

    def finish(self, last: Packed, features: Packed) -> Packed:
        """The last state is what heads read."""
        return last

    def prepare(self) -> None:
        """Nothing follows from the weights alone."""

    def _subsample(self, mels: Tensor) -> Tensor:
        return torch.relu_(self.second(torch.relu_(self.first(torch.relu_(self.widen(mels))))))


def design(published: Json) -> Design:
    """The encoder that a configuration describes, without weights."""
    config, problems = read(LasrConfig(), published)
    rope, more = _rope(published)
    problems += more
    problems += refuse(published, {"num_key_value_heads": config.num_attention_heads, "rope_scaling": None})
    require_sound(problems, config)
    return Design(
        LasrEncoder(config, rope),
        layers=config.num_hidden_layers,
        features=config.hidden_size,
        rows=tuple(_rows(config)),
        unused={},
        problems=tuple(problems),
    )


def _rope(published: Json) -> tuple[RopeConfig, list[str]]:
    stated = published.get("rope_parameters") or {"rope_theta": published.get("rope_theta", 10_000.0)}
    if not isinstance(stated, dict):
        return RopeConfig(), [f"rope_parameters is {stated!r}; an object is needed"]
    rope, problems = read(RopeConfig(), {"rope_type": stated.get("type")} | stated)  # `type` is its older name
    return rope, [f"rope_parameters: {problem}" for problem in problems]


def _norm(config: LasrConfig) -> nn.LayerNorm:
    return nn.LayerNorm(config.hidden_size, config.layer_norm_eps, bias=False)


def _rows(config: LasrConfig) -> list[Row]:
    layer, kernel = "layers.{}.", config.subsampling_conv_kernel_size
    attention = tuple(f"{layer}self_attn.{part}_proj" for part in ("q", "k", "v"))
    depthwise = (layer + "conv.depthwise_conv", layer + "conv.norm")
    return [
        same("widen", "subsampler.dense_0"),
        Row("first", ("subsampler.conv_0",), Taps(kernel)),
        Row("second", ("subsampler.conv_1",), Taps(kernel)),
        same("project", "subsampler.dense_1"),
        same("norm_last", "out_norm"),
        same("blocks.{}.norm_first", layer + "norm_feed_forward1"),
        same("blocks.{}.first.widen", layer + "feed_forward1.linear1"),
        same("blocks.{}.first.narrow", layer + "feed_forward1.linear2"),
        same("blocks.{}.norm_attention", layer + "norm_self_att"),
        Row("blocks.{}.attention.inward", attention, Fused(3)),
        same("blocks.{}.attention.outward", layer + "self_attn.o_proj"),
        same("blocks.{}.norm_convolution", layer + "norm_conv"),
        Row("blocks.{}.convolution.gate", (layer + "conv.pointwise_conv1",), Pointwise()),
        Row("blocks.{}.convolution.depthwise", depthwise, NormedDepthwise(bias=config.convolution_bias)),
        Row("blocks.{}.convolution.outward", (layer + "conv.pointwise_conv2",), Pointwise()),
        same("blocks.{}.norm_second", layer + "norm_feed_forward2"),
        same("blocks.{}.second.widen", layer + "feed_forward2.linear1"),
        same("blocks.{}.second.narrow", layer + "feed_forward2.linear2"),
        same("blocks.{}.norm_last", layer + "norm_out"),
    ]
