"""Confidence against what was right, times against what is known, and what a checkpoint's folder says of both."""

import json
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

from models import CheckpointError, CtcSearch, SpeechModel, load_model
from models.calibration import (
    AS_PUBLISHED,
    Calibration,
    expected_calibration_error,
    fit_delay,
    fit_temperature,
    reliability,
)
from models.checkpoint import read_config, write_checkpoint
from models.letters import write_letters
from models.protocol import Generation
from models.transcript import Transcript, Word
from tests.models.reference import noise, published
from tests.models.writing import folder as writer_folder
from tests.models.writing import reference as writer

CLIP = noise(20_801)


def calibrated(folder: Path, at: Path, content: object = None) -> Path:
    """A copy of a checkpoint with letters and, where it is said, a calibration."""
    target = copytree(folder, at)
    write_letters("abcdefghijk", target)
    if content is not None:
        (target / "calibration.json").write_text(json.dumps(content))
    return target


def words(model: SpeechModel, search: CtcSearch | None = None, delay_seconds: float | None = None) -> tuple[Word, ...]:
    (told,) = model.transcribe([CLIP], search, delay_seconds=delay_seconds)
    assert isinstance(told, Transcript)
    assert told.words
    return told.words


def test_a_checkpoint_is_read_as_the_calibration_beside_it_says(tmp_path: Path) -> None:
    source = published("hubert-layer-ctc").folder
    plain = load_model(calibrated(source, tmp_path / "plain"))
    model = load_model(calibrated(source, tmp_path / "known", {"delay_seconds": 0.04, "temperature": 3}))
    assert (plain.calibration, model.calibration) == (AS_PUBLISHED, Calibration(0.04, 3))
    assert words(model) == words(plain, CtcSearch(temperature=3.0), 0.04) != words(plain)
    assert words(model, CtcSearch(temperature=1.0), 0.0) == words(plain), "what is asked for goes before"
    texts, batch = ["bad cab"], plain.frontend([CLIP])
    assert model.align(batch, texts) == plain.align(batch, texts, 0.04) != plain.align(batch, texts)


def test_a_decoder_is_read_as_the_calibration_beside_it_says(tmp_path: Path) -> None:
    writer("untied")
    folder = copytree(writer_folder("untied", "ForConditionalGeneration"), tmp_path / "writer")
    plain = load_model(folder)
    (folder / "calibration.json").write_text('{"temperature": 2.5}')
    batch, model = plain.frontend([CLIP]), load_model(folder)
    told, asked, cold = model.predict(batch), plain.predict(batch, Generation(temperature=2.5)), plain.predict(batch)
    assert told[0].scores.tolist() == asked[0].scores.tolist() != cold[0].scores.tolist()


def test_what_a_calibration_cannot_mean_is_named_at_once(tmp_path: Path) -> None:
    source = published("hubert-layer-ctc").folder
    with pytest.raises(CheckpointError) as error:
        load_model(calibrated(source, tmp_path / "values", {"delay_seconds": 40, "temperature": 0}))
    assert error.value.problems == (
        "calibration.json: delay_seconds is 40; from -1.0 to 1.0 seconds can be meant",
        "calibration.json: temperature is 0; a number above 0 is needed",
    )
    with pytest.raises(CheckpointError, match=r"calibration.json: temperature is 'hot'; a number is needed"):
        load_model(calibrated(source, tmp_path / "kinds", {"temperature": "hot"}))
    with pytest.raises(CheckpointError, match=r"calibration.json is not a JSON object"):
        load_model(calibrated(source, tmp_path / "list", [1]))


def test_a_calibration_is_written_with_its_model(tmp_path: Path) -> None:
    source = calibrated(published("lasr-ctc").folder, tmp_path / "known", {"delay_seconds": 0.03})
    model = load_model(source)
    write_checkpoint(model, read_config(source), tmp_path / "again")
    assert load_model(tmp_path / "again").calibration == model.calibration == Calibration(0.03)
    model.calibration = AS_PUBLISHED
    write_checkpoint(model, read_config(source), tmp_path / "bare")
    assert not (tmp_path / "bare" / "calibration.json").exists()


def test_honest_confidence_has_no_error() -> None:
    assert expected_calibration_error([0.75] * 4, [True, True, True, False]) == 0.0


def test_the_error_is_the_distance_of_each_bar_by_its_words() -> None:
    said, right = [0.95] * 2 + [0.35] * 2, [True, False, True, True]
    assert expected_calibration_error(said, right) == pytest.approx((0.45 + 0.65) / 2)


def test_the_diagram_has_a_bar_for_every_confidence_that_occurs() -> None:
    bars = reliability([0.0, 0.05, 0.5, 1.0], [False, True, True, True])
    assert [(bar.low, bar.high, bar.count, bar.right) for bar in bars] == [
        (0.0, 0.1, 2, 0.5),
        (0.5, 0.6, 1, 1.0),
        (0.9, 1.0, 1, 1.0),
    ]


def test_no_word_is_no_error() -> None:
    assert expected_calibration_error([], []) == 0.0


def test_as_many_answers_as_confidences_are_needed() -> None:
    with pytest.raises(ValueError, match="2 confidences for 1 words"):
        reliability([0.5, 0.5], [True])


@pytest.mark.parametrize("wanted", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_confidence_wrong_is_found(wanted: float) -> None:
    """Logits that are `wanted` times too large, for words that are right as often as the true ones say."""
    random = np.random.default_rng(0)
    true = random.normal(1, 2, 20_000)
    right = random.random(20_000) < 1 / (1 + np.exp(-true))

    def judge(temperature: float) -> tuple[list[float], list[bool]]:
        return (1 / (1 + np.exp(-true * wanted / temperature))).tolist(), right.tolist()

    assert fit_temperature(judge) == pytest.approx(wanted, rel=0.08)


def test_the_delay_is_how_much_later_words_are_told() -> None:
    known = [(0.5, 0.9), (1.0, 1.4), (2.0, 2.3)]
    told = [(0.54, 0.94), (1.04, 1.44), (9.0, 9.3)]
    assert fit_delay(told, known) == pytest.approx(0.04), "one word out of place moves nothing"
    assert fit_delay([], []) == 0.0
    with pytest.raises(ValueError, match="3 words for 2 whose times are known"):
        fit_delay(told, known[:2])
