"""`steno filter --alignment`: what two jobs found of the same recordings, in one row."""

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from jobs import Filter, SetupError, filter_rows
from jobs.demo.truth import Truth, read_truth
from pipeline.aligning import Aligning
from pipeline.audio import AudioRules, segments
from pipeline.batches import census, pack
from pipeline.features import features
from pipeline.gathering import Gathering
from pipeline.inference import Device, Listener
from pipeline.schema import Recording
from pipeline.stitching import Making
from pipeline.tasks import Task, Transcription
from tests.jobs.rows_of import Told, write_rows

DEMO = Path(__file__).parents[2] / "jobs" / "demo"
LASR = str(DEMO / "checkpoints" / "lasr")
SPOKEN = [truth for truth in read_truth(DEMO / "corpus") if truth.file.startswith("loose/flac")][:3]


def rows_of(task: Task, recordings: list[tuple[str, Truth, str]]) -> list[Told]:
    """What a job makes of some recordings: the name, the audio and the reference of each."""
    listener = Listener(Device(LASR, task=task))
    pieces = [
        piece
        for number, (name, truth, text) in enumerate(recordings)
        for piece in features(
            segments(
                Recording("s", number, name, name, (DEMO / "corpus" / truth.file).read_bytes(), reference=text),
                task.audio(listener.model, AudioRules()),
            ),
            listener.model.frontend,
        )
    ]
    making = Making(LASR, "run", listener.model.sample_rate, stitch=task.stitch(listener.model))
    (shard,) = Gathering(making).take(listener(pack([*pieces, census("s", len(recordings))])))
    return shard.table.to_pylist()


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Transcripts of three recordings and alignments of two, of which one has another's reference."""
    first, second, third = SPOKEN
    good, bad, alone = ("good", first, first.text), ("bad", second, third.text), ("alone", third, third.text)
    folder = tmp_path_factory.mktemp("outputs")
    heard = write_rows(folder / "out", {"000001-000000-x": rows_of(Transcription(), [good, bad, alone])})
    laid = rows_of(Aligning(), [bad, good])
    return heard, write_rows(folder / "words", {"000001-000000-x": laid}, options={"job": "align"})


def test_error_rate_and_ctc_loss_are_flagged_together(outputs: tuple[str, str], tmp_path: Path) -> None:
    heard, words = outputs
    plain, both = filter_rows(Filter(heard, to=str(tmp_path / "a"))), Filter(heard, to=str(tmp_path / "b"))
    assert plain.flags == {"error_rate": 1}
    told = filter_rows(replace(both, alignment=words))
    assert (told.flags, told.unaligned) == ({"error_rate": 1, "ctc_loss": 1}, 1)
    assert "Of 1 rows with a text the alignment says nothing" in told.text()
    asked = f"FROM '{tmp_path}/b/*.parquet' SELECT recording_id, flags, ctc_loss, alignment.verdict ORDER BY ALL"
    (alone, bad, good) = duckdb.sql(asked).fetchall()
    assert alone == ("alone", [], None, None)
    assert (bad[0], bad[1]) == ("bad", ["error_rate", "ctc_loss"])
    assert (good[0], good[1], good[3]) == ("good", [], "fits")
    assert bad[2] > 10 * good[2]


def test_channels_are_told_apart(tmp_path: Path) -> None:
    told = {"verdict": "fits", "heard": 10, "expected": 10, "coverage": 1.0, "exact": True}
    texts: list[Told] = [{"recording_id": "call", "channel": c, "text": "a b c", "status": "ok"} for c in (0, 1, None)]
    losses = [{**row, "ctc_loss": 90.0 * row["channel"], "alignment": told} for row in texts[:2]]  # type: ignore[operator]
    heard = write_rows(tmp_path / "out", {"000001-000000-x": texts})
    words = write_rows(tmp_path / "words", {"000001-000000-x": losses}, options={"job": "align"})
    filter_rows(Filter(heard, alignment=words))
    asked = f"FROM '{tmp_path}/out/flagged/*.parquet' SELECT ctc_loss"
    assert duckdb.sql(asked).fetchall() == [(0.0,), (90.0,), (None,)]


def test_what_is_no_alignment_is_named(outputs: tuple[str, str], tmp_path: Path) -> None:
    heard, _ = outputs
    with pytest.raises(SetupError, match="which steno transcribe wrote: name an output of steno align"):
        filter_rows(Filter(heard, alignment=heard, to=str(tmp_path / "to")))
    with pytest.raises(SetupError, match=r"alignment: .*nowhere holds no output"):
        filter_rows(Filter(heard, alignment=str(tmp_path / "nowhere"), to=str(tmp_path / "to")))
