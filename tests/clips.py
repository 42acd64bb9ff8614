"""Synthetic clips of mixed lengths, and what should become of each."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

SECONDS = (0.5, 8.0, 1.3, 3.7, 2.4, 5.1)
"""Clips that can be read."""
TOO_SHORT_SECONDS = 0.01
"""Less than any model's first frame."""
NOTE_SECONDS = 0.05
"""How long a tone keeps its pitch."""


@dataclass(frozen=True)
class Clips:
    """One company."""

    good: tuple[Samples, ...]
    """Can be read."""
    too_short: Samples
    """Has no frame: its prediction is empty."""
    spoilt: Samples
    """Has a sample that is not a number: it is refused."""
    sample_rate: int

    def mixed(self) -> list[Samples]:
        """All of them, the odd ones first, where they would disturb the most."""
        return [self.too_short, self.spoilt, *self.good]

    @property
    def seconds(self) -> float:
        """Audio that can be read."""
        return sum(map(len, self.good)) / self.sample_rate


def make_clips(sample_rate: int, seed: int) -> Clips:
    """The clips at a model's rate."""
    random = np.random.default_rng(seed)
    spoilt = _clip(2.0, sample_rate, random)
    spoilt[len(spoilt) // 2] = np.nan
    return Clips(
        tuple(_clip(seconds, sample_rate, random) for seconds in SECONDS),
        _clip(TOO_SHORT_SECONDS, sample_rate, random),
        spoilt,
        sample_rate,
    )


def _clip(seconds: float, sample_rate: int, random: np.random.Generator) -> Samples:
    """Tones that jump, under noise: no two stretches sound alike."""
    count = round(seconds * sample_rate)
    note = np.arange(count) // round(NOTE_SECONDS * sample_rate)
    pitch, loudness = random.uniform(80, 5000, count)[note], random.uniform(0.02, 0.6, count)[note]
    tones = loudness * np.sin(2 * np.pi * np.cumsum(pitch) / sample_rate)
    return (tones + 0.05 * random.standard_normal(count)).clip(-1, 1).astype(np.float32)
