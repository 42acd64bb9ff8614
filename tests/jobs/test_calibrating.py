"""A temperature fitted on clips whose text is known undoes what made a checkpoint too sure."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from jobs.calibrating import calibrated, judged, transcribed
from jobs.demo import recipe
from models import SpeechModel, load_model
from models.calibration import surprise
from tests.benchmarks.times import read_clips

TOO_SURE = 4.0


@cache
def clips() -> tuple[list[np.ndarray], list[str]]:
    some = [clip for clip in read_clips(recipe.CORPUS) if len(clip.samples) < 3 * 16_000][::12]
    return [clip.samples for clip in some], [" ".join(word.upper() for word, *_ in clip.words) + "." for clip in some]


@cache
def boaster() -> SpeechModel:
    """The demo's HuBERT, whose logits are all so many times too large."""
    model = load_model(recipe.CHECKPOINTS / "hubert")
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.mul_(TOO_SURE)
    return model


def test_what_made_a_checkpoint_too_sure_is_found_and_undone() -> None:
    model, (samples, texts) = boaster(), clips()
    found = calibrated(model, samples, texts)
    honest = calibrated(load_model(recipe.CHECKPOINTS / "hubert"), samples, texts)
    assert found.temperature == pytest.approx(TOO_SURE * honest.temperature, rel=0.1)
    assert found == replace(model.calibration, temperature=found.temperature), "how late it writes is kept"
    words = [text.split() for text in texts]
    before, after = (surprise(*judged(words, transcribed(model, samples, t))) for t in (1.0, found.temperature))
    assert after < before


def test_what_cannot_be_fitted_is_said() -> None:
    samples, texts = clips()
    with pytest.raises(ValueError, match="1 texts for 2 clips"):
        calibrated(boaster(), samples[:2], texts[:1])
    with pytest.raises(ValueError, match="0 texts for 0 clips"):
        calibrated(boaster(), [], [])
    with pytest.raises(ValueError, match="clip 1 cannot be read"):
        calibrated(boaster(), [samples[0], np.full(8_000, np.nan, np.float32)], texts[:2])
    with pytest.raises(ValueError, match="does not write text"):
        calibrated(load_model(recipe.CHECKPOINTS / "keywords"), samples[:1], texts[:1])
