"""With `cut=silero` recordings are cut between speech, and silence around it is not handed on."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.audio import AudioRules, rules, silero
from pipeline.audio.silero import BEFORE, FRAME, PAD, SileroNetwork, Speech, State, network
from pipeline.schema import Samples
from tests.pipeline.sounds import RATE, encode, hear

RULES = AudioRules(cut="silero")
VOWELS = ((730, 1_090, 2_440), (270, 2_290, 3_010), (300, 870, 2_240), (530, 1_840, 2_480))
"""Resonances of the throat, in hertz."""


def voice(seconds: float, seed: int = 1) -> Samples:
    """Five syllables a second: a buzz of gliding pitch through resonances that move from vowel to vowel."""
    random = np.random.default_rng(seed)
    count, syllable = round(seconds * RATE), RATE // 5
    vowels = np.array(VOWELS)[random.integers(len(VOWELS), size=-(-count // syllable))]
    cycles = np.cumsum(120 + 25 * np.sin(2 * np.pi * 0.7 * np.arange(count) / RATE)) / RATE
    sound = np.zeros(count)
    for harmonic in range(1, 40):
        gains = (1 / (1 + ((130.0 * harmonic - vowels) / 80) ** 2)).sum(1) / harmonic**0.3
        sound += np.repeat(gains, syllable)[:count] * np.sin(2 * np.pi * harmonic * cycles)
    sound *= np.sin(np.pi * (np.arange(count) % syllable) / syllable)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def talk(*parts: float) -> Samples:
    """Seconds of speech, of silence, of speech and so on."""
    hiss = np.random.default_rng(5)
    pieces = [voice(seconds, turn + 1) if turn % 2 == 0 else np.zeros(round(seconds * RATE), np.float32)
              for turn, seconds in enumerate(parts)]  # fmt: skip
    sound = np.concatenate(pieces)
    return sound + (1e-4 * hiss.standard_normal(len(sound))).astype(np.float32)


@pytest.fixture
def threads() -> Iterator[None]:
    """Importing the silero-vad package sets torch to one thread."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_it_hears_what_the_published_model_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    from silero_vad import load_silero_vad

    sound = talk(3.0, 2.0, 4.3)
    theirs = load_silero_vad().audio_forward(torch.from_numpy(sound)[None], RATE)[0].numpy()
    ours: list[Samples] = []
    forward = SileroNetwork.forward

    def recorded(self: SileroNetwork, frames: Tensor, state: State) -> tuple[Tensor, State]:
        probabilities, after = forward(self, frames, state)
        ours.append(probabilities.numpy())
        return probabilities, after

    monkeypatch.setattr(SileroNetwork, "forward", recorded)
    meter = Speech()
    levels = np.concatenate([meter.push(sound[:70_001]), meter.push(sound[70_001:]), meter.flush()])
    assert len(ours) == 3
    np.testing.assert_allclose(np.concatenate(ours), theirs, atol=1e-4)
    np.testing.assert_allclose(levels, theirs, atol=0.0501)
    assert 0.3 < (theirs > 0.5).mean() < 0.9


def test_however_a_stream_is_chunked_it_hears_the_same() -> None:
    sound = talk(3.0, 1.0, 12.0)
    once, often = Speech(), Speech()
    whole = np.concatenate([once.push(sound), once.flush()])
    parts = np.concatenate([*(often.push(sound[at : at + 777]) for at in range(0, len(sound), 777)), often.flush()])
    np.testing.assert_array_equal(whole, parts)


def test_a_long_recording_is_cut_in_its_pauses() -> None:
    pauses = [(12.0, 12.6), (27.6, 28.2), (50.2, 50.8)]
    sound = talk(12.0, 0.6, 15.0, 0.6, 22.0, 0.6, 14.0)
    heard = hear(encode(sound), RULES)
    cuts = [segment.core[0] / RATE for segment in heard[1:]]
    assert len(cuts) >= 2
    assert all(any(begin <= cut <= end for begin, end in pauses) for cut in cuts)
    assert [segment.core[0] for segment in heard[1:]] == [segment.core[1] for segment in heard[:-1]]
    assert (heard[0].core[0], heard[-1].core[1]) == (0, len(sound))


def test_silence_around_speech_is_not_heard_and_speech_keeps_its_time() -> None:
    """Noise that is no speech counts as silence."""
    hiss = (0.003 * np.random.default_rng(7).standard_normal(60 * RATE)).astype(np.float32)
    sound = hiss.copy()
    sound[40 * RATE : 44 * RATE] += voice(4.0)
    heard = hear(encode(sound), RULES)
    (loud,) = [segment for segment in heard if len(segment.samples) and segment.core[0] <= 42 * RATE < segment.core[1]]
    assert all(len(segment.samples) == 0 for segment in heard if segment.core[1] < 39 * RATE)
    begin, end = loud.start / RATE, (loud.start + len(loud.samples)) / RATE
    assert 40 - (PAD + 4) * FRAME / RATE <= begin <= 40.1
    assert 43.9 <= end <= 44 + (PAD + 12) * FRAME / RATE
    np.testing.assert_allclose(loud.samples, sound[loud.start :][: len(loud.samples)], atol=1e-4)
    assert sum(segment.core[1] - segment.core[0] for segment in heard) == len(sound)


def test_a_recording_without_speech_is_heard_nowhere() -> None:
    (segment,) = hear(encode(np.zeros(5 * RATE, np.float32)), RULES)
    assert (len(segment.samples), segment.failure, segment.total) == (0, None, 5 * RATE)


def test_the_first_frame_has_silence_before_it() -> None:
    state = (torch.zeros(1, 128), torch.zeros(1, 128))
    window = torch.from_numpy(np.concatenate([np.zeros(BEFORE, np.float32), voice(1.0)[:FRAME]]))
    with torch.inference_mode():
        probability, _ = network()(window[None], state)
    meter = Speech()
    meter.push(voice(1.0)[:FRAME])
    assert meter.flush().tolist() == pytest.approx([round(float(probability), 1)])


def test_without_the_package_it_is_a_set_up_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"silero-vad is not installed.*'\.\[silero\]'"):
        AudioRules(cut="silero")
    with pytest.raises(ValueError, match="silero hears 16000"):
        AudioRules(cut="silero", sample_rate=8_000)


def test_the_package_itself_is_left_alone() -> None:
    """It would set torch to one thread in the whole process."""
    assert "import silero_vad" not in Path(silero.__file__).read_text()
