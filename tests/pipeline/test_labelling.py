"""Labels: the best of the whole recording, and of each of its windows."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from models import load_model
from models.model import SpeechModel
from models.protocol import ClipLogits
from pipeline.audio import AudioRules, segments
from pipeline.labelling import Best, Labelling, Labels, Values, Windowed
from pipeline.schema import Segment
from pipeline.stitching import Making, Piece
from tests.checkpoints import CONFIGS, write_random
from tests.clips import make_clips
from tests.pipeline.sounds import encode, noise, recording

CLIPS = make_clips(16_000, seed=0).good
MAKING = Making("model", "run", 100)


def classifier(folder: Path, problem: str) -> SpeechModel:
    config = {**CONFIGS["HuBERT"], "problem_type": problem}
    write_random("HubertForSequenceClassification", config, CLIPS[0], folder)
    return load_model(folder)


def piece(core: tuple[int, int], labels: Mapping[str, float], seconds: float) -> Piece:
    return Piece(core, 1000, None, (), labels, seconds)


def cut(seconds: float, window: float, hop: float | None) -> list[Segment]:
    rules = AudioRules(window_seconds=window, hop_seconds=hop)
    return list(segments(recording(encode(noise(seconds))), rules))


def test_scores_are_averaged_by_seconds_before_the_best_are_picked() -> None:
    long = piece((0, 750), {"a": 0.5, "b": 0.1, "c": 0.4}, 7.5)
    short = piece((750, 1000), {"a": 0.0, "b": 0.6, "c": 0.4}, 2.5)
    row = Labels(Best(2)).row([long, short], MAKING)
    assert row["status"] == "ok"
    assert row["labels"] == [
        {"label": "c", "score": pytest.approx(0.4)},
        {"label": "a", "score": pytest.approx(0.375)},
    ]


def test_a_regression_gives_every_value_in_the_checkpoints_order() -> None:
    row = Labels(Values(("low", "high"))).row([piece((0, 1000), {"high": 3.0, "low": -1.0}, 10)], MAKING)
    assert row["labels"] == [{"label": "low", "score": -1.0}, {"label": "high", "score": 3.0}]


def test_every_window_is_a_segment_and_a_silent_one_has_no_labels() -> None:
    pieces = [piece((0, 200), {"a": 0.9, "b": 0.1}, 2.0), piece((100, 300), {}, 0.0)]
    row = Windowed(Best(1)).row(pieces, MAKING)
    assert row["segments"] == [
        {"start": 0.0, "end": 2.0, "labels": [{"label": "a", "score": 0.9}]},
        {"start": 1.0, "end": 3.0, "labels": []},
    ]
    assert row["labels"] == [{"label": "a", "score": 0.9}]


def test_silence_is_empty() -> None:
    assert Labels(Best(5)).row([piece((0, 1000), {}, 0.0)], MAKING)["status"] == "empty"


@pytest.mark.parametrize(
    ("seconds", "window", "hop", "cores"),
    [
        (5.0, 2.0, 1.0, [(0, 2), (1, 3), (2, 4), (3, 5)]),
        (5.5, 2.0, 1.0, [(0, 2), (1, 3), (2, 4), (3, 5), (4, 5.5)]),
        (4.0, 2.0, None, [(0, 2), (2, 4)]),
        (1.0, 2.0, 1.0, [(0, 1)]),
    ],
)
def test_windows_cover_a_recording_from_end_to_end(
    seconds: float, window: float, hop: float | None, cores: list[tuple[float, float]]
) -> None:
    made = cut(seconds, window, hop)
    assert [(core[0] / 16_000, core[1] / 16_000) for core in (each.core for each in made)] == cores
    assert [each.last for each in made] == [False] * (len(cores) - 1) + [True]
    (whole,) = segments(recording(encode(noise(seconds))), AudioRules())
    for each in made:
        np.testing.assert_array_equal(each.samples, whole.samples[slice(*each.core)])
    assert made[-1].total == len(whole.samples)
    assert sum(each.fresh for each in made) == whole.fresh == whole.total, "what overlaps counts once"


@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification", "regression"])
def test_scores_are_what_the_problem_says_and_company_does_not_change_them(problem: str, tmp_path: Path) -> None:
    model = classifier(tmp_path, problem)
    output = model(model.frontend([CLIPS[0]]))
    assert isinstance(output, ClipLogits)
    logits = output.logits[0].double()
    wanted = {"s": logits.softmax(-1), "m": logits.sigmoid(), "r": logits}[problem[0]].tolist()
    together = Labelling().hear(model, model.frontend(CLIPS), [{}] * len(CLIPS))
    alone = Labelling().hear(model, model.frontend(CLIPS[:1]), [{}])
    for heard in (together[0], alone[0]):
        assert isinstance(heard, dict)
        scores = {each["label"]: each["score"] for each in heard["labels"]}
        assert [scores[name] for name in model.labels] == pytest.approx(wanted, abs=1e-4)


def test_the_best_are_for_scores_and_all_values_for_a_regression(tmp_path: Path) -> None:
    scores, values = (classifier(tmp_path / p, p) for p in ("multi_label_classification", "regression"))
    assert Labelling(3).stitch(scores) == Labels(Best(3))
    assert Labelling(3).stitch(values) == Labels(Values(values.labels))
    assert Labelling(3, 2.0).stitch(scores) == Windowed(Best(3))


def test_a_speller_gives_no_labels(tmp_path: Path) -> None:
    write_random("HubertForCTC", CONFIGS["HuBERT"], CLIPS[0], tmp_path)
    (said,) = Labelling().flaws(load_model(tmp_path))
    assert "a HubertForCTC gives no labels" in said
