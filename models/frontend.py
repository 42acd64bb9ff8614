"""Samples to what a model reads. Runs on the CPU, or where it is told to, without any weights.

A clip is prepared by itself and padded afterwards, so its numbers do not depend on the batch: the product with a filter
bank rounds a row differently as the rows beside it are more or fewer, so frames of several clips never share one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.clock import Clock
from models.hush import Loudness
from models.protocol import Padded, Samples

TINY = 1e-20
"""The power of digital silence."""


class Frontend(Protocol):
    """The role of the classes below."""

    @property
    def sample_rate(self) -> int:
        """Samples per second that clips must have."""
        ...

    @property
    def hop(self) -> int:
        """Samples from one input to the next: 1 for a waveform."""
        ...

    @property
    def window(self) -> int:
        """Samples that one input is made of: 1 for a waveform."""
        ...

    def __call__(self, clips: Sequence[Samples], device: str | torch.device = "cpu") -> Padded:
        """1-D clips -> padded inputs."""
        ...

    def loudness(self, batch: Padded) -> Loudness:
        """How loud the clips are, every hundredth of a second or so."""
        ...


@dataclass(frozen=True)
class Waveform:
    """The samples themselves, normalised to zero mean and unit variance where the checkpoint wants it."""

    sample_rate: int = 16_000
    normalize: bool = True

    EPSILON = 1e-7

    @property
    def hop(self) -> int:
        """Every sample is an input."""
        return 1

    @property
    def window(self) -> int:
        """Every sample is an input."""
        return 1

    def __call__(self, clips: Sequence[Samples], device: str | torch.device = "cpu") -> Padded:
        """1-D clips -> (clips, samples)."""
        return _padded(clips, self._prepare, (), device)

    def loudness(self, batch: Padded) -> Loudness:
        """Of what changes from sample to sample, so that neither a constant nor hum counts."""
        step = self.sample_rate // 100
        clips, steps = batch.inputs.shape[0], max(0, (batch.inputs.shape[1] - 1) // step)
        changes = batch.inputs[:, 1 : 1 + steps * step] - batch.inputs[:, : steps * step]
        powers = changes.view(clips, steps, step).square_().sum(2)
        levels = (powers[:, :-2] + powers[:, 1:-1] + powers[:, 2:]).clamp_min(TINY).log()
        lengths = tuple(max(0, (length - 1) // step - 2) for length in batch.lengths.tolist())
        return Loudness(levels, lengths, Clock(step, step))

    def _prepare(self, samples: Tensor) -> Tensor:
        if not self.normalize or not len(samples):
            return samples
        exact = samples.double()  # a constant clip must come out as zeros, not as amplified rounding
        variance, mean = torch.var_mean(exact, correction=0)
        return ((exact - mean) / (variance + self.EPSILON).sqrt()).float()


@dataclass(frozen=True)
class LogMel:
    """LASR's log-mel features. Frames are cut without padding: frame i begins at sample i * hop."""

    sample_rate: int = 16_000
    mels: int = 128
    hop: int = 160
    window: int = 400
    fft: int = 512

    LOWEST, HIGHEST, FLOOR = 125.0, 7500.0, 1e-5

    def __call__(self, clips: Sequence[Samples], device: str | torch.device = "cpu") -> Padded:
        """1-D clips -> (clips, frames, mels)."""
        return _padded(clips, self._prepare, (self.mels,), device)

    def loudness(self, batch: Padded) -> Loudness:
        """Over all bands alike."""
        return _banded(batch, self.hop, self.window)

    def _prepare(self, samples: Tensor) -> Tensor:
        """The transform is in float64: in a loud tone's frame, float32 drowns the quiet bands."""
        if len(samples) < self.window:
            return samples.new_zeros(0, self.mels)
        window = torch.hann_window(self.window, periodic=False, dtype=torch.float64, device=samples.device)
        frames = samples.double().unfold(0, self.window, self.hop) * window
        power = _power(torch.view_as_real(torch.fft.rfft(frames, self.fft)).float())
        bank = mel_bank(self.mels, self.fft // 2 + 1, self.sample_rate, self.LOWEST, self.HIGHEST)
        return (power @ bank.to(power.device)).clamp_min_(self.FLOOR).log_()


@dataclass(frozen=True)
class Fbank:
    """Kaldi's log-mel filter bank, each band at zero mean and unit variance over the clip: Speech2Text's features.

    Samples count as 16-bit whole numbers. A window lasts 25 ms, every 10 ms, whatever the rate, as Kaldi has it.
    """

    sample_rate: int = 16_000
    mels: int = 80
    center: bool = True
    """Whether each band's mean is taken off."""
    scale: bool = True
    """Whether each band is divided by its deviation."""

    LOWEST, FLOOR, EMPHASIS, FULL_SCALE, LOWEST_RATE = 20.0, 2.0**-23, 0.97, 2.0**15, 200

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return self.sample_rate // 100

    @property
    def window(self) -> int:
        """Samples of a frame."""
        return self.sample_rate * 25 // 1000

    def __call__(self, clips: Sequence[Samples], device: str | torch.device = "cpu") -> Padded:
        """1-D clips -> (clips, frames, mels)."""
        return _padded(clips, self._prepare, (self.mels,), device)

    def loudness(self, batch: Padded) -> Loudness:
        """Over all bands alike."""
        return _banded(batch, self.hop, self.window)

    def _prepare(self, samples: Tensor) -> Tensor:
        if len(samples) < self.window:
            return samples.new_zeros(0, self.mels)
        return self._normal(self._log_mels(samples.double() * self.FULL_SCALE)).float()

    def _log_mels(self, samples: Tensor) -> Tensor:
        """(samples,) -> (frames, mels) in float64: in float32, a loud tone's frame would drown the quiet bands."""
        frames = samples.unfold(0, self.window, self.hop)
        frames = frames - frames.mean(1, keepdim=True)
        before = torch.cat([frames[:, :1], frames[:, :-1]], 1)
        fft = 1 << (self.window - 1).bit_length()
        spectrum = torch.fft.rfft((frames - self.EMPHASIS * before) * self._taper(samples.device), fft)
        power = _power(torch.view_as_real(spectrum))
        bank = mel_bank(self.mels, fft // 2 + 1, self.sample_rate, self.LOWEST, self.sample_rate / 2)
        return (power @ bank.to(power)).clamp_min_(self.FLOOR).log_().float().double()

    def _taper(self, device: torch.device) -> Tensor:
        """Povey's window."""
        return torch.hann_window(self.window, periodic=False, dtype=torch.float64, device=device).pow_(0.85)

    def _normal(self, mels: Tensor) -> Tensor:
        """A band that never changes has no deviation, and is not divided by one."""
        variance, mean = torch.var_mean(mels, 0, correction=0)
        centred = mels - mean if self.center else mels
        return centred / torch.where(variance > 0, variance, 1.0).sqrt() if self.scale else centred


def _power(spectrum: Tensor) -> Tensor:
    """(..., real and imaginary) -> (...): a sum over pairs would be the same, and many times slower."""
    squares = spectrum.square()
    return squares[..., 0] + squares[..., 1]


def _banded(batch: Padded, hop: int, window: int) -> Loudness:
    clock = Clock(hop, (window - hop) // 2)
    return Loudness(batch.inputs.mean(2), tuple(batch.lengths.tolist()), clock)


@cache
def mel_bank(mels: int, bins: int, sample_rate: float, lowest: float, highest: float) -> Tensor:
    """Triangles on Kaldi's mel scale over all frequency bins but the first: (bins, mels)."""
    edges = np.linspace(_mel(lowest), _mel(highest), mels + 2)
    at = _mel(np.linspace(0.0, sample_rate / 2, bins))[1:, None]
    rising = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    bank = np.pad(np.maximum(0.0, np.minimum(rising, falling)), [(1, 0), (0, 0)])
    return torch.from_numpy(bank).float()


def _mel(hertz: float | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(1127.0 * np.log(1.0 + np.asarray(hertz) / 700.0))


def _padded(
    clips: Sequence[Samples],
    prepare: Callable[[Tensor], Tensor],
    width: tuple[int, ...],
    device: str | torch.device,
) -> Padded:
    prepared, refusals = [], []
    for index, clip in enumerate(clips):
        samples = _samples(clip, index).to(device)
        refusal = _refusal(samples)
        inputs = prepare(samples[:0] if refusal else samples)
        if not bool(inputs.isfinite().all()):
            refusal, inputs = "its samples are too large for the model's features", inputs[:0]
        prepared.append(inputs)
        refusals.append(refusal)
    lengths = torch.tensor([len(clip) for clip in prepared], dtype=torch.long)
    if not prepared:
        return Padded(torch.zeros(0, 0, *width, device=device), lengths, ())
    padded = torch.nn.utils.rnn.pad_sequence(prepared, batch_first=True)
    return Padded(padded, lengths, tuple(refusals))


FULL_SCALE: Mapping[torch.dtype, float] = {torch.int16: 2.0**15, torch.int32: 2.0**31}


def _samples(clip: Samples, index: int) -> Tensor:
    """A clip as float32; integers are divided by their full scale."""
    # A copy, because an array may be read-only (Arrow's are) or run backwards, and torch takes neither.
    samples = clip if isinstance(clip, Tensor) else _tensor(np.asarray(clip), index)
    if samples.ndim != 1:
        raise ValueError(f"clip {index} has shape {tuple(samples.shape)}; 1-D samples of one channel are needed")
    if samples.dtype in FULL_SCALE:
        return samples.float() / FULL_SCALE[samples.dtype]
    if not samples.is_floating_point():
        kind = str(samples.dtype).removeprefix("torch.")
        raise ValueError(f"clip {index} has {kind} samples; floats in [-1, 1], int16 or int32 are needed")
    return samples.float()


def _tensor(clip: npt.NDArray[np.generic], index: int) -> Tensor:
    if clip.dtype.kind not in "fiu" or clip.dtype.itemsize > 8:
        raise ValueError(f"clip {index} has {clip.dtype} samples; floats in [-1, 1], int16 or int32 are needed")
    return torch.from_numpy(np.array(clip, dtype=clip.dtype.newbyteorder("="), order="C"))


def _refusal(samples: Tensor) -> str | None:
    finite = samples.isfinite()
    if bool(finite.all()):
        return None
    return f"sample {int((~finite).nonzero()[0, 0])} is not a finite number"
