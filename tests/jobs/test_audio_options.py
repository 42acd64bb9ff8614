"""What a run is told of how recordings are cut and left out, and what its model can hold."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from jobs import SetupError, transcribe
from jobs.hearing import audio_rules
from jobs.options import Transcribe
from jobs.options_audio import USUAL
from jobs.planning import Once
from jobs.setup import checked
from jobs.transcription import task
from models import load_model
from pipeline.aligning import Aligning
from pipeline.audio import AudioRules
from pipeline.latest import latest
from pipeline.references import References
from pipeline.storage import Store
from tests.checkpoints import write_small_speller
from tests.faults.runs import engineless

DECODER = Path(__file__).parents[2] / "jobs" / "demo" / "checkpoints" / "speech2text"
HOLDS = 500
"""Frames of 10 ms that the decoder below is made for."""


@pytest.fixture(scope="module")
def speller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_speller(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that was made for five seconds."""
    folder = tmp_path_factory.mktemp("decoder") / "model"
    shutil.copytree(DECODER, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_source_positions": HOLDS}))
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three recordings: of one, four and thirteen seconds."""
    (tmp_path / "in").mkdir()
    for seconds in (1, 4, 13):
        noise = np.random.default_rng(seconds).normal(0, 0.1, 16_000 * seconds)
        soundfile.write(tmp_path / "in" / f"{seconds:02}.wav", noise, 16_000)
    return tmp_path / "in"


def asked(model: Path, corpus: Path, **said: float) -> Transcribe:
    return Transcribe((str(corpus),), str(corpus.parent / "out"), str(model), **said)  # type: ignore[arg-type]


def rules(options: Transcribe) -> AudioRules:
    return audio_rules(options, task(options), load_model(options.model))


def heard(options: Transcribe) -> list[dict[str, object]]:
    """The rows of a run, by their names."""
    with engineless():
        transcribe(options)
    rows = pa.concat_tables(latest(Store(options.output), ["recording_id", "status", "error"])).to_pylist()
    return sorted(rows, key=lambda row: str(row["recording_id"]))


def test_without_a_word_recordings_are_read_as_the_stage_reads_them(speller: Path, tmp_path: Path) -> None:
    options = asked(speller, tmp_path)
    assert rules(options) == AudioRules(16_000)
    assert options.limits == asked(speller, tmp_path, **USUAL).limits == {}


def test_recordings_too_short_or_too_long_are_rows_that_were_skipped(speller: Path, corpus: Path) -> None:
    rows = heard(asked(speller, corpus, skip_shorter_seconds=2.0, skip_longer_seconds=10.0))
    assert [row["status"] for row in rows] == ["skipped", "ok", "skipped"]
    assert "shorter than 2.0 s is skipped" in str(rows[0]["error"])
    assert "longer than 10.0 s is skipped" in str(rows[2]["error"])


@pytest.mark.parametrize(
    ("said", "failure"),
    [({"most_seconds": 5.0}, "TooLong"), ({"most_bytes": 500_000}, "TooLarge")],
)
def test_what_is_beyond_a_cap_fails_alone(speller: Path, corpus: Path, said: Mapping[str, float], failure: str) -> None:
    rows = heard(asked(speller, corpus, **said))
    assert rows[-1]["status"] == "failed" and failure in str(rows[-1]["error"])


def test_pieces_and_patience_are_as_long_as_is_said(speller: Path, tmp_path: Path) -> None:
    pieces = {"longest_seconds": 12.0, "shortest_seconds": 4.0, "context_seconds": 0.5}
    waits = {"patience_seconds": 1.0, "patience_seconds_per_megabyte": 2.0, "most_patience_seconds": 3.0}
    caps = {"most_seconds": 9.0, "most_bytes": 1 << 20, "most_channels": 1}
    said = {**pieces, **waits, **caps}
    assert rules(asked(speller, tmp_path, **said)) == AudioRules(16_000, **said)  # type: ignore[arg-type]
    assert rules(asked(speller, tmp_path, longest_seconds=8.0)).shortest_seconds == 4.0


def test_a_decoder_hears_no_piece_that_is_longer_than_it_was_made_for(decoder: Path, corpus: Path) -> None:
    found = rules(asked(decoder, corpus))
    assert (found.longest_seconds, found.shortest_seconds, found.context_seconds) == (5.0, 2.5, 0.0)
    assert {row["status"] for row in heard(asked(decoder, corpus))} <= {"ok", "empty"}


def test_room_is_left_for_the_context_of_a_piece(decoder: Path, tmp_path: Path) -> None:
    model = load_model(str(decoder))

    class Whole:
        """A task that keeps the context."""

        def audio(self, _: object, rules: AudioRules) -> AudioRules:
            return rules

    found = audio_rules(asked(decoder, tmp_path), Whole(), model)  # type: ignore[arg-type]
    assert found.longest_seconds + 2 * found.context_seconds == 5.0


def test_pieces_that_the_model_cannot_hold_are_a_wrong_set_up(decoder: Path, corpus: Path) -> None:
    options = asked(decoder, corpus, longest_seconds=90.0)
    with pytest.raises(SetupError) as told:
        checked(options, task(options), Once(options))
    assert told.value.problems == (f"longest_seconds is 90.0: {decoder} hears 5.00 at once",)


def test_context_that_would_be_written_twice_is_refused(decoder: Path, corpus: Path) -> None:
    with pytest.raises(ValueError, match=r"context_seconds is 0\.5: here it must be 0"):
        rules(asked(decoder, corpus, context_seconds=0.5))
    assert rules(asked(decoder, corpus, context_seconds=0.0)).context_seconds == 0.0


def test_an_output_is_held_to_the_limits_that_made_it(speller: Path, corpus: Path) -> None:
    heard(asked(speller, corpus))
    for same in ({"longest_seconds": 30}, {"patience_seconds": 5.0}, {"window_bytes": 1 << 20}):
        heard(asked(speller, corpus, **same))
    with pytest.raises(SetupError, match=r"option longest_seconds: not set there, 20\.0 here"):
        heard(asked(speller, corpus, longest_seconds=20))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("skip_longer_seconds", 0.0),
        ("skip_shorter_seconds", -1.0),
        ("patience_seconds", 0.0),
        ("patience_seconds_per_megabyte", -1.0),
        ("most_patience_seconds", float("nan")),
        ("window_bytes", 0),
    ],
)
def test_a_limit_that_cannot_be_is_told(name: str, value: float) -> None:
    (said,) = asked(Path("model"), Path("in"), **{name: value}).flaws()
    assert said.startswith(f"{name} is {value}: ")


def test_limits_that_leave_nothing_are_told() -> None:
    (said,) = asked(Path("model"), Path("in"), skip_shorter_seconds=9.0, skip_longer_seconds=3.0).flaws()
    assert said == "skip_shorter_seconds is 9.0: more than skip_longer_seconds (3.0), so nothing is heard"


def test_what_is_skipped_for_its_length_is_skipped_by_an_alignment_too(speller: Path) -> None:
    model, aligning = load_model(str(speller)), Aligning(References(None), longest_hours=2.0)
    assert aligning.audio(model, AudioRules()).skip_longer_seconds == 7_200.0
    assert aligning.audio(model, AudioRules(skip_longer_seconds=60.0)).skip_longer_seconds == 60.0
    assert aligning.audio(model, AudioRules(skip_longer_seconds=9_000.0)).skip_longer_seconds == 7_200.0
