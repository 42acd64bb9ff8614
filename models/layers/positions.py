"""Where a frame is: the positional convolution, rotary angles, and waves to be added.

Relative positions in the manner of DeBERTa belong to the attention that reads them (`disentangled.py`).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.kept import Stamp, stamp
from models.layers.packing import Packed


class PositionalConvolution(nn.Module):
    """A grouped convolution over many frames (128 as published), centred, with zeros beyond a clip's ends.

    On a CPU it runs in the frequency domain, block by block and in float32: about a tenth of the time of the direct
    product (a quarter of one in bfloat16), and closer to its float64 value.
    """

    def __init__(self, width: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.kernel, self.groups = kernel, groups
        self.weight = nn.Parameter(torch.empty(width, width // groups, kernel))
        """(width, width of a group, taps), the weight norm already folded in"""
        self.bias = nn.Parameter(torch.empty(width))
        self.block = 3 * kernel
        self.spectrum: Tensor | None = None
        self.stamp: Stamp = ()

    def __getstate__(self) -> dict[str, object]:
        """A copy, or a model on its way to another process, makes its own spectrum."""
        return self.__dict__ | {"spectrum": None, "stamp": ()}

    def prepare(self) -> None:
        """Keep the weight's spectrum."""
        self.spectrum, self.stamp = None, stamp([self.weight])
        if self.weight.device.type != "cpu":
            return
        taps = self.weight.detach().float().unflatten(0, (self.groups, -1)).flip(-1)
        self.spectrum = torch.fft.rfft(taps, self.block).permute(3, 0, 2, 1).contiguous()

    def forward(self, x: Packed) -> Packed:
        """(frames, width) -> the same frames, convolved."""
        if self.stamp != stamp([self.weight]):
            self.prepare()
        if self.spectrum is None or self.weight.requires_grad:
            return x.through(self._direct)
        return x.of(self._by_spectrum(x, self.spectrum))

    def _direct(self, x: Tensor) -> Tensor:
        y = F.conv1d(x.transpose(1, 2), self.weight, self.bias, padding=self.kernel // 2, groups=self.groups)
        return y[..., : x.shape[1]].transpose(1, 2)

    def _by_spectrum(self, x: Packed, spectrum: Tensor) -> Tensor:
        """Overlap and save: each block of `block` frames yields the `hop` that no wrap-around touches."""
        hop = self.block - self.kernel + 1
        blocks = torch.cat([self._blocks(clip, hop) for clip in x.clips()]).float()
        waves = torch.fft.rfft(blocks, dim=1)  # (blocks, frequencies, width)
        waves = waves.unflatten(2, (self.groups, -1)).permute(1, 2, 0, 3)
        waves = torch.matmul(waves, spectrum).permute(2, 0, 1, 3).flatten(2)
        frames = torch.fft.irfft(waves, self.block, dim=1)[:, self.kernel - 1 :]
        counts = [-(-frames // hop) for frames in x.lengths]
        clips = zip(frames.split(counts), x.lengths, strict=True)
        return torch.cat([clip.flatten(0, 1)[:length] for clip, length in clips]).add_(self.bias).to(x.values.dtype)

    def _blocks(self, clip: Tensor, hop: int) -> Tensor:
        """(frames, width) -> overlapping (blocks, block, width)."""
        before = self.kernel // 2
        count = -(-len(clip) // hop)
        tape = F.pad(clip, (0, 0, before, (count - 1) * hop + self.block - len(clip) - before))
        return tape.unfold(0, self.block, hop).transpose(1, 2)


class Rotary(nn.Module):
    """Rotary positions: a pair of channels turns by its own angle per frame."""

    def __init__(self, head_width: int, theta: float, scale: float) -> None:
        super().__init__()
        self.head_width, self.theta, self.scale = head_width, theta, scale

    def forward(self, x: Packed) -> tuple[Tensor, Tensor]:
        """Cosine and sine for every frame: two of (frames, 1, half a head)."""
        pairs = torch.arange(0, self.head_width, 2, dtype=torch.float32, device=x.values.device)
        rates = 1.0 / (self.theta ** (pairs / self.head_width)) / self.scale
        angles = (x.positions().float()[:, None] * rates)[:, None]
        return angles.cos().to(x.values.dtype), angles.sin().to(x.values.dtype)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn (frames, heads, width) by its frames' angles."""
    first, second = x.chunk(2, -1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], -1)


class Sinusoids(nn.Module):
    """A wave per channel, added to what stands at a place.

    Places count from `blank + 1`, as published; place `blank` itself has no wave.
    """

    def __init__(self, width: int, blank: int) -> None:
        super().__init__()
        self.width, self.blank = width, blank
        self.table: Tensor | None = None

    def __getstate__(self) -> dict[str, object]:
        """A copy makes its own table."""
        return self.__dict__ | {"table": None}

    def forward(self, places: Tensor) -> Tensor:
        """Any whole numbers -> (..., width)."""
        most = int(places.max()) + 1 if places.numel() else 1
        if self.table is None or len(self.table) < most or self.table.device != places.device:
            self.table = self._waves(max(most, 256)).to(places.device)
        return self.table[places]

    @torch.inference_mode(mode=False)  # kept for readings with gradients, too
    def _waves(self, places: int) -> Tensor:
        half = self.width // 2
        rates = torch.exp(torch.arange(half).float() * -(math.log(10_000) / (half - 1)))
        angles = torch.arange(places).float()[:, None] * rates
        table = F.pad(torch.cat([angles.sin(), angles.cos()], 1), (0, self.width % 2))
        if self.blank < places:
            table[self.blank] = 0
        return table
