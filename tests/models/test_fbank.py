"""Kaldi's filter bank equals the reference's, and Kaldi's own."""

import json
from pathlib import Path

import kaldi_native_fbank
import numpy as np
import pytest
import torch
import transformers

from models import CheckpointError, load_model
from models.frontend import Fbank, LogMel
from models.preprocessor import published, read_frontend
from tests.models.reference import Clip, Settings, noise
from tests.models.test_frontend import CLIPS
from tests.models.writing import reference

CLOSE = 1e-4
KALDIS = 1e-3
"""Kaldi adds in float32: in a loud tone's frame its quiet bands are rounding, so tones are not compared with it."""
TONELESS = ("speech-like", "clipping noise", "beyond full scale", "tiny", "tinier", "one click")
VARIED = ("speech-like", "clipping noise", "beyond full scale", "tiny", "one click", "tone then silence", "drifting")
"""Clips of which every band changes."""
WAYS: dict[str, Settings] = {
    "as published": {},
    "raw": {"do_ceptral_normalize": False},
    "means alone": {"normalize_vars": False},
    "deviations alone": {"normalize_means": False},
    "few bands": {"num_mel_bins": 40, "feature_size": 40},
    "another padding": {"padding_value": 3.0},
}


@pytest.mark.parametrize("clip", CLIPS)
def test_log_mels_are_the_references(clip: str) -> None:
    _assert_close(Fbank(center=False, scale=False), {"do_ceptral_normalize": False}, CLIPS[clip])


@pytest.mark.parametrize("clip", VARIED)
@pytest.mark.parametrize("way", WAYS)
def test_features_are_normalised_as_the_checkpoint_says(way: str, clip: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(WAYS[way]))
    frontend, problems = read_frontend(tmp_path, Fbank())
    assert problems == []
    _assert_close(frontend, WAYS[way], CLIPS[clip])
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(published(frontend)))
    assert read_frontend(tmp_path, Fbank()) == (frontend, [])


@pytest.mark.parametrize("clip", TONELESS)
@pytest.mark.parametrize(("rate", "mels"), [(16_000, 80), (8_000, 40), (22_050, 80)])
def test_log_mels_are_kaldis(clip: str, rate: int, mels: int) -> None:
    mine = Fbank(rate, mels, center=False, scale=False)([CLIPS[clip]]).inputs[0].numpy()
    theirs = _kaldi(CLIPS[clip], rate, mels)
    assert mine.shape == theirs.shape
    assert float(np.abs(mine - theirs).max()) <= KALDIS


@pytest.mark.parametrize("clip", ["silence", "constant", "loud tone", "tinier"])
def test_a_band_that_never_changes_is_zero_and_not_noise(clip: str) -> None:
    features = Fbank()([CLIPS[clip]]).inputs[0]
    assert bool(features.isfinite().all())
    still = Fbank(center=False, scale=False)([CLIPS[clip]]).inputs[0].std(0) == 0
    assert not features[:, still].any()


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (720, 3)])
def test_frames_are_cut_without_padding(samples: int, frames: int) -> None:
    batch = Fbank()([noise(samples), noise(1_000)])
    assert batch.lengths.tolist() == [frames, 4]
    assert not batch.inputs[0, frames:].any()


@pytest.mark.parametrize("frontend", [Fbank(), LogMel()], ids=["fbank", "mels"])
def test_a_clip_has_the_same_features_in_company_to_the_last_bit(frontend: Fbank | LogMel) -> None:
    clips = [*(CLIPS[clip] for clip in ("speech-like", "silence", "tiny")), *map(noise, (400, 560, 720, 5_003))]
    batch = frontend(clips)
    for clip, row, length in zip(clips, batch.inputs, batch.lengths.tolist(), strict=True):
        assert torch.equal(row[:length], frontend([clip]).inputs[0])


def test_whole_numbers_have_the_features_of_their_floats() -> None:
    whole = (noise(5_003) * 32_767).astype(np.int16)
    torch.testing.assert_close(Fbank()([whole]).inputs, Fbank()([whole.astype(np.float32) / 32_768]).inputs)


@pytest.mark.parametrize(
    ("field", "value"),
    [("dither", 1.0), ("num_mel_bins", 0), ("sampling_rate", 50), ("normalize_vars", "no"), ("num_mel_bins", 60)],
)
def test_a_setting_that_does_not_fit_is_named(field: str, value: object, tmp_path: Path) -> None:
    reference("plain").save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({field: value}))
    with pytest.raises(CheckpointError, match=f"preprocessor_config.json: {field} is {value!r}"):
        load_model(tmp_path)


def _assert_close(frontend: Fbank, settings: Settings, clip: Clip) -> None:
    extractor = transformers.Speech2TextFeatureExtractor(**settings)
    theirs = extractor(clip, sampling_rate=16_000, return_tensors="pt")["input_features"]
    mine = frontend([clip]).inputs
    assert mine.shape == theirs.shape
    assert mine.dtype == torch.float32
    assert float((mine - theirs).abs().max()) <= CLOSE


def _kaldi(clip: Clip, rate: int, mels: int) -> Clip:
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.samp_freq = rate
    options.mel_opts.num_bins = mels
    bank = kaldi_native_fbank.OnlineFbank(options)
    bank.accept_waveform(rate, (clip * 32_768).tolist())
    bank.input_finished()
    return np.stack([bank.get_frame(frame) for frame in range(bank.num_frames_ready)])
