"""The strided convolutions that turn a waveform into frames.

No convolution is padded, so a frame depends on its own samples alone and the only way for neighbours or padding to
leak in is the group norm, whose statistics are taken here over each clip's own samples.
Frames lie row by row (frames, channels): a strided convolution is then a matrix product on a view of the frames,
without a copy, or two where the library that multiplies takes no rows that overlap.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers import packing
from models.layers.activations import ACTIVATIONS
from models.layers.linear import by_onednn, linear
from models.layers.packing import Packed

TILE_FRAMES = 128
"""Output frames computed at a time on a CPU: the widest intermediate of a tile then stays in cache."""


@dataclass(frozen=True)
class ConvShape:
    """What the published `conv_*` fields say of one stem."""

    channels: tuple[int, ...]
    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...] = ()
    """Zeros before the first input of each convolution; none where this is empty."""

    @property
    def stride(self) -> int:
        """Samples from one frame to the next."""
        return prod(self.strides)

    @property
    def field(self) -> int:
        """Samples that one frame sees."""
        samples = 1
        for kernel, stride in zip(reversed(self.kernels), reversed(self.strides), strict=True):
            samples = (samples - 1) * stride + kernel
        return samples

    @property
    def lead(self) -> int:
        """Samples before a clip's own that its first frame sees."""
        return sum(pad * prod(self.strides[:i]) for i, pad in enumerate(self.pads))

    def frames(self, samples: int) -> int:
        """Frames of a clip: 0 if it is too short for one."""
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            samples = (samples - kernel) // stride + 1 if samples >= kernel else 0
        return samples


class StridedConvolution(nn.Module):
    """One unpadded convolution over (frames, channels)."""

    def __init__(self, inward: int, outward: int, kernel: int, stride: int, *, bias: bool) -> None:
        super().__init__()
        self.inward, self.kernel, self.stride = inward, kernel, stride
        self.weight = nn.Parameter(torch.empty(outward, kernel * inward))
        """Taps follow one another in a row, as samples do in memory."""
        self.bias = nn.Parameter(torch.empty(outward)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(frames, inward) -> (fewer frames, outward)."""
        frames = (len(x) - self.kernel) // self.stride + 1
        x, out = x.contiguous(), None
        at_once = self.kernel if by_onednn(x, self.weight) else self.stride
        for tap in range(0, self.kernel, at_once):
            columns = slice(tap * self.inward, min(tap + at_once, self.kernel) * self.inward)
            weight = self.weight[:, columns]
            rows = x.as_strided(
                (frames, weight.shape[1]),
                (self.stride * self.inward, 1),
                x.storage_offset() + columns.start,
            )
            out = linear(rows, weight, self.bias) if out is None else out.addmm_(rows, weight.T)
        assert out is not None
        return out


class FirstConvolution(nn.Module):
    """The convolution on raw samples, before any norm."""

    def __init__(self, outward: int, kernel: int, stride: int, *, bias: bool) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.weight = nn.Parameter(torch.empty(outward, kernel))
        self.bias = nn.Parameter(torch.empty(outward)) if bias else None

    def windows(self, samples: Tensor) -> Tensor:
        """What each frame sees: (frames, kernel)."""
        return samples.unfold(0, self.kernel, self.stride)


class GroupNorm(nn.Module):
    """The published group norm, with one group per channel."""

    EPSILON = 1e-5

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))

    def fold(self, convolution: FirstConvolution, samples: Tensor) -> tuple[Tensor, Tensor]:
        """The convolution's weight and bias with this clip's norm inside.

        A channel is a linear map of the windows, so its mean and variance over the clip follow from the windows'
        own: the clip is normalised before it is convolved, and the widest tensor of the model is written once.
        In float64, because neighbouring samples are nearly equal.
        """
        windows = convolution.windows(samples.double())
        mean = windows.mean(0)
        centred = windows - mean
        covariance = centred.T @ centred / len(windows)
        taps = convolution.weight.double()
        variance = ((taps @ covariance) * taps).sum(1).clamp_min(0)
        scale = self.weight / (variance + self.EPSILON).sqrt()
        shift = self.bias - scale * (taps @ mean)
        return (scale[:, None] * taps).float(), shift.float()


class GroupNormStem(nn.Module):
    """Convolutions with a group norm after the first: the `group` stem of the base models."""

    def __init__(self, shape: ConvShape, activation: str, *, bias: bool) -> None:
        super().__init__()
        self.shape, self.activate = shape, ACTIVATIONS[activation]
        self.first = FirstConvolution(shape.channels[0], shape.kernels[0], shape.strides[0], bias=bias)
        self.norm = GroupNorm(shape.channels[0])
        self.rest = nn.ModuleList(_strided(shape, bias=bias))

    def forward(self, waveforms: Tensor, lengths: Sequence[int]) -> Packed:
        """(clips, samples) -> their frames."""
        clips = [self._clip(row[:samples]) for row, samples in zip(waveforms, lengths, strict=True)]
        return Packed(torch.cat(clips), tuple(map(len, clips)))

    def _clip(self, samples: Tensor) -> Tensor:
        weight, bias = self.norm.fold(self.first, samples)
        return _tiled(self.shape, samples, lambda tile: self._tile(tile, weight, bias))

    def _tile(self, samples: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x = F.linear(self.first.windows(samples), weight, bias)
        x = self.activate(x.to(self.first.weight.dtype))
        for convolution in self.rest:
            x = self.activate(convolution(x))
        return x


class LayerNormStem(nn.Module):
    """Convolutions with a layer norm after each: the `layer` stem of the large models."""

    def __init__(self, shape: ConvShape, activation: str, *, bias: bool) -> None:
        super().__init__()
        self.shape, self.activate = shape, ACTIVATIONS[activation]
        self.first = FirstConvolution(shape.channels[0], shape.kernels[0], shape.strides[0], bias=bias)
        self.norm = nn.LayerNorm(shape.channels[0])
        self.rest = nn.ModuleList(_strided(shape, bias=bias))
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for channels in shape.channels[1:])

    def forward(self, waveforms: Tensor, lengths: Sequence[int]) -> Packed:
        """(clips, samples) -> their frames."""
        rows = zip(waveforms, lengths, strict=True)
        clips = [_tiled(self.shape, row[:samples], self._tile) for row, samples in rows]
        return Packed(torch.cat(clips), tuple(map(len, clips)))

    def _tile(self, samples: Tensor) -> Tensor:
        windows = self.first.windows(samples).to(self.first.weight.dtype)
        x = self.activate(self.norm(F.linear(windows, self.first.weight, self.first.bias)))
        for convolution, norm in zip(self.rest, self.norms, strict=True):
            x = self.activate(norm(convolution(x)))
        return x


class DepthwiseConvolution(nn.Module):
    """Each channel over time by itself, keeping frames; an even kernel sees one frame more to the right."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(kernel, channels))
        self.bias = nn.Parameter(torch.empty(channels))

    def forward(self, x: Packed) -> Packed:
        """(frames, channels) -> the same frames."""
        return x.through(self._convolve)

    def _convolve(self, x: Tensor) -> Tensor:
        kernel = len(self.weight)
        padded = F.pad(x, (0, 0, (kernel - 1) // 2, kernel // 2))
        channels_last = padded.transpose(1, 2)[..., None]
        y = F.conv2d(channels_last, self.weight.T[:, None, :, None], self.bias, groups=x.shape[2])
        return y[..., 0].transpose(1, 2)


STEMS = {"group": GroupNormStem, "layer": LayerNormStem}
"""By the published name of `feat_extract_norm`."""


def _strided(shape: ConvShape, *, bias: bool) -> list[StridedConvolution]:
    channels = zip(shape.channels, shape.channels[1:], strict=False)
    sizes = zip(channels, shape.kernels[1:], shape.strides[1:], strict=True)
    return [StridedConvolution(i, o, kernel, stride, bias=bias) for (i, o), kernel, stride in sizes]


def _tiled(shape: ConvShape, samples: Tensor, convolve: Callable[[Tensor], Tensor]) -> Tensor:
    """One clip's frames, a tile at a time on a CPU; tiles overlap by what a frame sees beyond its stride."""
    frames = shape.frames(len(samples))
    step = TILE_FRAMES if packing.fills(samples.device) else frames
    tiles = []
    for start in range(0, frames, step):
        last = min(start + step, frames) - 1
        tiles.append(convolve(samples[start * shape.stride : last * shape.stride + shape.field]))
    return torch.cat(tiles)
