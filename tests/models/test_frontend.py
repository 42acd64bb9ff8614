"""Samples become the inputs that the reference's feature extractors make of one clip."""

from functools import cache

import numpy as np
import pytest
import torch

from models import load_model
from models.model import SpeechModel
from tests.models.reference import CASES, TOLERANCE, Case, Clip, features, noise, publish, published

WAVES = ("hubert-group-ctc", "hubert-raw-ctc", "hubert-unwritten-settings-ctc", "sew-d-layer-ctc")
MELS = ("lasr-ctc", "lasr-few-mels-ctc", "lasr-unwritten-settings-ctc")
OTHER_CUTS = Case(
    "lasr-other-cuts", "lasr", "LasrEncoder", CASES["lasr-encoder"].config,
    {"feature_size": 128, "sampling_rate": 16_000, "hop_length": 200, "win_length": 320, "n_fft": 1024},
)  # fmt: skip


def tone(hertz: float, loudness: float, samples: int = 16_000) -> Clip:
    """A pure tone."""
    return (loudness * np.sin(2 * np.pi * hertz * np.arange(samples) / 16_000)).astype(np.float32)


CLIPS: dict[str, Clip] = {
    "speech-like": noise(16_000),
    "silence": np.zeros(8_000, np.float32),
    "constant": np.full(8_000, 0.3, np.float32),
    "loud tone": tone(440.0, 1.0),
    "loud high tone": tone(7_000.0, 1.0),
    "tone between bins": tone(1_015.6, 0.99),
    "too low a tone": tone(30.0, 1.0),
    "clipping noise": (10 * noise(16_000, 3)).clip(-1, 1),
    "beyond full scale": 50 * noise(16_000, 4),
    "tiny": 1e-5 * noise(16_000, 5),
    "tinier": 1e-9 * noise(16_000, 6),
    "one click": np.eye(1, 8_000, 4_000, dtype=np.float32)[0],
    "tone then silence": np.concatenate([tone(300.0, 1.0, 8_000), np.zeros(8_000, np.float32)]),
    "drifting": noise(16_000, 7) * 0.01 + 0.9,
}


@cache
def ours(name: str) -> SpeechModel:
    """The case through the public door."""
    return load_model(published(name).folder)


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("name", WAVES)
def test_a_waveform_is_normalised_as_the_reference_does(name: str, clip: str) -> None:
    batch = ours(name).frontend([CLIPS[clip]])
    theirs = features(published(name), CLIPS[clip])
    assert float((batch.inputs - theirs).abs().max()) <= TOLERANCE * max(1.0, float(theirs.square().mean().sqrt()))
    assert batch.lengths.tolist() == [len(CLIPS[clip])]


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("name", MELS)
def test_log_mels_are_the_references(name: str, clip: str) -> None:
    batch = ours(name).frontend([CLIPS[clip]])
    theirs = features(published(name), CLIPS[clip])
    assert batch.inputs.shape == theirs.shape
    assert float((batch.inputs - theirs).abs().max()) <= TOLERANCE
    assert batch.inputs.dtype == torch.float32


@pytest.mark.parametrize("clip", ["speech-like", "loud tone", "silence"])
def test_log_mels_are_cut_as_the_checkpoint_says(clip: str) -> None:
    reference = publish(OTHER_CUTS)
    model = load_model(reference.folder)
    batch, theirs = model.frontend([CLIPS[clip]]), features(reference, CLIPS[clip])
    assert batch.inputs.shape == theirs.shape
    assert float((batch.inputs - theirs).abs().max()) <= TOLERANCE
    assert model.seconds_per_frame == pytest.approx(200 * 4 / 16_000)


@pytest.mark.parametrize("samples", [400, 401, 559, 560, 561, 719, 720, 721, 2_319, 2_320, 2_321, 16_079])
def test_frames_are_as_many_as_the_reference_marks(samples: int) -> None:
    """The reference marks a frame as real where the sample at its end, every 160 from 399, is."""
    reference = published("lasr-ctc")
    clips = [noise(samples), noise(20_801)]
    batch = ours("lasr-ctc").frontend(clips)
    marked = reference.extractor(clips, sampling_rate=16_000, return_tensors="pt", return_attention_mask=True)
    assert batch.lengths.tolist() == marked["attention_mask"].sum(-1).tolist()
    assert batch.lengths.tolist() == [len(range(399, len(clip), 160)) for clip in clips]


@pytest.mark.parametrize("samples", [0, 1, 399])
def test_a_clip_shorter_than_a_window_has_no_frame(samples: int) -> None:
    batch = ours("lasr-ctc").frontend([noise(samples), noise(1_000)])
    assert batch.lengths.tolist() == [0, 4]
    assert batch.refusals == (None, None)


@pytest.mark.parametrize("name", [*WAVES, *MELS])
def test_inputs_are_each_clips_own_then_zeros(name: str) -> None:
    clips = [CLIPS[clip] for clip in ("speech-like", "silence", "tiny", "one click")] + [noise(2_321)]
    batch = ours(name).frontend(clips)
    for clip, row, length in zip(clips, batch.inputs, batch.lengths.tolist(), strict=True):
        theirs = features(published(name), clip)[0]
        assert length == len(theirs)
        assert float((row[:length] - theirs).abs().max()) <= TOLERANCE * max(1.0, float(theirs.abs().max()))
        assert not row[length:].any()


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("hubert-group-ctc", 0.02), ("hubert-gaps-encoder", 36 / 16_000), ("hubert-overlap-ctc", 80 / 16_000),
     ("unispeech-layer-ctc", 0.02), ("sew-d-group-ctc", 0.02), ("sew-d-thirds-ctc", 0.02), ("lasr-ctc", 0.04),
     ("lasr-gaps-encoder", 0.09), ("lasr-unsubsampled-encoder", 0.01)],
)  # fmt: skip
def test_a_frame_lasts_as_long_as_the_strides_say(name: str, seconds: float) -> None:
    assert ours(name).seconds_per_frame == pytest.approx(seconds)
    assert ours(name).sample_rate == 16_000


@pytest.mark.parametrize("name", ["hubert-group-ctc", "lasr-ctc"])
def test_a_checkpoints_own_sample_rate_is_kept(name: str) -> None:
    case = CASES[name]
    slow = publish(Case(f"{name}-slow", case.family, case.architecture, case.config, {"sampling_rate": 8_000}))
    model = load_model(slow.folder)
    assert model.sample_rate == 8_000
    assert model.seconds_per_frame == pytest.approx(2 * ours(name).seconds_per_frame)
    theirs = features(slow, CLIPS["speech-like"])
    mine = model.frontend([CLIPS["speech-like"]]).inputs
    assert float((mine - theirs).abs().max()) <= TOLERANCE * max(1.0, float(theirs.square().mean().sqrt()))
