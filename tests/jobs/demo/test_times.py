"""Words of the checkpoints that ship are where they are said, and as sure as they are right: as published, on a sample.

`python -m tests.benchmarks.times` measures the whole corpus; here are one clip in nine and limits with some slack.
"""

from functools import cache

import numpy as np
import pytest

from jobs.calibrating import judged
from jobs.demo import recipe
from jobs.demo.lateness import Said, delay, rightly, transcribe
from models import SpeechModel, load_model
from models.calibration import expected_calibration_error
from models.transcript import Transcript
from tests.benchmarks.times import read_clips, spoken

EVERY = 9
LIMITS = {
    "lasr": (20, 85),
    "hubert": (15, 45),
    "unispeech": (15, 52),
    "sew-d": (18, 55),
    "speech2text": (40, 240),
}
"""Milliseconds: the median and the 95th percentile."""
SLACK = {"speech2text": 0.012}
"""Seconds around the delay of those that are not as regular."""
NAMES = tuple(LIMITS)


@cache
def clips() -> list[Said]:
    return list(read_clips(recipe.CORPUS))[::EVERY]


@cache
def model(name: str) -> SpeechModel:
    return load_model(recipe.CHECKPOINTS / name)


@cache
def told(name: str) -> list[Transcript]:
    return transcribe(model(name), clips())


@pytest.mark.parametrize("name", NAMES)
def test_words_are_where_they_are_said(name: str) -> None:
    pairs = np.array(list(rightly(clips(), told(name), model(name).sample_rate)))
    assert len(pairs) > 100
    errors = 1000 * np.abs(pairs[:, 1] - pairs[:, 0])  # (words, start and end)
    median, most = LIMITS[name]
    assert (np.percentile(errors, 50, axis=0) <= median).all()
    assert (np.percentile(errors, 95, axis=0) <= most).all()


@pytest.mark.parametrize("name", NAMES)
def test_confidence_is_as_honest_as_it_is_said_to_be(name: str) -> None:
    assert expected_calibration_error(*judged(list(map(spoken, clips())), told(name))) <= 0.1


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_writes_as_late_as_its_calibration_says(name: str) -> None:
    """It was fitted on other speech; nobody moved it to suit the corpus."""
    said = model(name).calibration.delay_seconds
    assert delay(model(name), clips()) == pytest.approx(said, abs=SLACK.get(name, 0.006))
