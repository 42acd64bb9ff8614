"""Confidence against what was right."""

import numpy as np
import pytest

from models.calibration import expected_calibration_error, fit_delay, fit_temperature, reliability


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
