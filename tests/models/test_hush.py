"""Where a clip is quiet: told by every front end alike, whatever the level, the noise and the company."""

from collections.abc import Sequence

import numpy as np
import pytest

from models.clock import Clock
from models.frontend import Fbank, Frontend, LogMel, Waveform
from models.hush import find_quiet, loud_shares, nowhere

RATE, LEAST = 16_000, 1280
FRONTENDS = {"waveform": Waveform(), "as it is": Waveform(normalize=False), "mels": LogMel(), "fbank": Fbank()}
NEAR = 400
"""Samples: one window of features."""


def sounding(*seconds: float, noise: float = 1e-3, level: float = 0.3, seed: int = 0) -> np.ndarray:
    """Quiet and loud by turns, quiet first."""
    random = np.random.default_rng(seed)
    parts = [level * (turn % 2) * random.standard_normal(round(s * RATE)) for turn, s in enumerate(seconds)]
    whole = np.concatenate(parts)
    return (whole + noise * random.standard_normal(len(whole))).astype(np.float32)


def quiet(frontend: Frontend, clips: Sequence[np.ndarray]) -> list[list[list[int]]]:
    found = zip(find_quiet(frontend.loudness(frontend(clips)), LEAST), clips, strict=True)
    return [stretches.clip(0, len(clip)).tolist() for stretches, clip in found]


@pytest.mark.parametrize("name", FRONTENDS)
@pytest.mark.parametrize(("noise", "level"), [(1e-4, 0.3), (1e-2, 0.1), (1e-5, 1e-3)])
def test_pauses_are_found_whatever_the_level_and_the_noise(name: str, noise: float, level: float) -> None:
    clip = sounding(0.3, 0.7, 0.25, 1.0, 0.4, noise=noise, level=level)
    (found,) = quiet(FRONTENDS[name], [clip])
    np.testing.assert_allclose(found, [[0, 4800], [16_000, 20_000], [36_000, 42_400]], atol=NEAR)


@pytest.mark.parametrize("name", FRONTENDS)
def test_a_consonants_closure_is_no_pause_but_the_ends_of_a_clip_are(name: str) -> None:
    (found,) = quiet(FRONTENDS[name], [sounding(0.07, 0.8, 0.05, 0.8, 0.07)])
    assert len(found) == 2
    np.testing.assert_allclose(found, [[0, 1120], [1.72 * RATE, 1.79 * RATE]], atol=NEAR)


@pytest.mark.parametrize("name", FRONTENDS)
def test_a_clip_is_as_quiet_alone_as_in_company(name: str) -> None:
    clips = [sounding(0.3, 0.7, seconds, 0.7, 0.3, seed=seed) for seed, seconds in enumerate((0.2, 1.4, 0.9))]
    together = quiet(FRONTENDS[name], [*clips, np.empty(0, np.float32)])
    assert together == [quiet(FRONTENDS[name], [clip])[0] for clip in clips] + [[]]


def test_digital_silence_is_no_measure_of_a_rooms_noise() -> None:
    """A third of the clip is zeros; the pause with a room's noise is quiet too."""
    clip = sounding(0.5, 1.0, 0.5, 1.0, noise=1e-3)
    padded = np.concatenate([clip, np.zeros(len(clip) // 2, np.float32)])
    (found,) = quiet(FRONTENDS["as it is"], [padded])
    np.testing.assert_allclose(found, [[0, 8000], [24_000, 32_000], [48_000, len(padded)]], atol=NEAR)


@pytest.mark.parametrize("name", FRONTENDS)
@pytest.mark.parametrize("samples", [0, 1, 399, 560, 4000])
def test_a_clip_of_one_loudness_or_none_is_nowhere_quiet(name: str, samples: int) -> None:
    assert quiet(FRONTENDS[name], [np.zeros(samples, np.float32)]) == [[]]


def test_a_frame_is_loud_as_far_as_it_is_not_quiet() -> None:
    stretches = np.array([[0, 150], [300, 325], [550, 1 << 62]])
    assert loud_shares(stretches, Clock(100, -20), 6).tolist() == pytest.approx([0.2, 0.3, 1.0, 0.75, 1.0, 0.7])
    assert loud_shares(nowhere(), Clock(100, 30), 2).tolist() == [1.0, 1.0]
