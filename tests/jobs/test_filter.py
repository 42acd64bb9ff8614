"""`steno filter`: each flag for what it says, every row kept, and the output as it was."""

import json
import shlex
from pathlib import Path

import duckdb
import numpy as np
import pytest
import soundfile

from jobs import Filter, SetupError, clipping, filter_rows
from jobs.cli import main
from jobs.clipping import Tops
from jobs.demo.__main__ import CORPUS
from jobs.exits import FINE, UNUSABLE
from jobs.suspicion import measured, repeats
from pipeline.audio.deck import open_audio
from pipeline.plan import plan
from pipeline.sources import recordings
from tests.jobs.rows_of import Told, words, write_rows

SPEECH = words(*[(f"w{number}", number * 0.5, number * 0.5 + 0.4) for number in range(20)])
LOOP = words(*[(word, at * 0.5, at * 0.5 + 0.4) for at, word in enumerate(["so", "i", "said"] * 4)])
GOOD: Told = {"recording_id": "good", "segments": SPEECH, "confidence": 0.9, "wer": 0.1}
NOTHING = {"class": "NotFound", "stage": "sources", "message": "it is gone"}
ALIGNED = {"verdict": "fits", "heard": 10, "expected": 10, "coverage": 1.0, "exact": True}
ROWS: dict[str, tuple[Told, list[str]]] = {
    "good": ({}, []),
    "wrong": ({"wer": 0.6}, ["error_rate"]),
    "at the limit": ({"wer": 0.5, "confidence": 0.5}, []),
    "no reference": ({"wer": None}, []),
    "no words": ({"segments": [], "text": "", "confidence": None, "wer": None}, ["words_per_second", "silence"]),
    "unsure": ({"confidence": 0.4}, ["confidence"]),
    "unlikely": ({"ctc_loss": 30.0, "alignment": ALIGNED}, ["ctc_loss"]),
    "likely": ({"ctc_loss": 15.0, "alignment": ALIGNED}, []),
    "slow": ({"seconds": 100.0}, ["words_per_second", "silence"]),
    "fast": ({"seconds": 3.0}, ["words_per_second"]),
    "loop": ({"segments": LOOP}, ["repeats"]),
    "short": ({"seconds": 0.2, "segments": words(("a", 0.0, 0.2))}, ["duration"]),
    "lost": ({"status": "failed", "text": None, "segments": None, "error": NOTHING}, ["failed"]),
    "left out": ({"status": "skipped", "text": None, "segments": None, "error": NOTHING}, ["skipped"]),
}


def output(where: Path | str, **of: object) -> str:
    rows = [{**GOOD, "recording_id": name, **told} for name, (told, _) in ROWS.items()]
    return write_rows(where, {"000001-000000-x": rows[:5], "000001-000001-x": rows[5:]}, **of)  # type: ignore[arg-type]


def flagged(folder: Path) -> dict[str, list[str]]:
    """By recording, as another program reads the table."""
    return dict(duckdb.sql(f"FROM '{folder}/*.parquet' SELECT recording_id, flags").fetchall())


def test_every_row_is_kept_with_its_flags_and_the_output_stays(tmp_path: Path) -> None:
    where = output(tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    told = filter_rows(Filter(where))
    assert flagged(tmp_path / "out/flagged") == {name: expected for name, (_, expected) in ROWS.items()}
    assert {path: path.read_bytes() for path in before} == before
    assert (told.rows, told.flagged) == (14, 10)
    assert told.flags["words_per_second"] == 3
    assert told.examples["repeats"] == "loop"
    row = (
        duckdb.sql(f"FROM '{tmp_path}/out/flagged/*.parquet' WHERE recording_id = 'good'")
        .to_arrow_table()
        .to_pylist()[0]
    )
    assert row["measures"]["words_per_second"] == pytest.approx(2.0)
    assert row["measures"]["silence"] == pytest.approx(0.2)
    assert row["segments"][0]["words"][3]["word"] == "w3"


def test_flagged_rows_are_no_input_of_a_folder_that_they_lie_in(tmp_path: Path) -> None:
    filter_rows(Filter(output(tmp_path / "talks/out")))
    (tmp_path / "talks/a.wav").write_bytes(b"")
    found = [each for shard in plan([str(tmp_path / "talks")]) for each in recordings(shard)]
    assert [each.recording_id for each in found] == ["talks/a.wav"]


def test_limits_are_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where, to = output(tmp_path / "out"), tmp_path / "to"
    limits = ["--max-wer", "0.05", "--max-repeats", "4", "--max-seconds", "50", "--min-words-per-second", "0"]
    assert main(["filter", where, "--to", str(to), *limits, "--json"]) == FINE
    said = json.loads(capsys.readouterr().out)
    found = flagged(to)
    assert found["good"] == ["error_rate"]
    assert found["loop"] == ["error_rate"]
    assert found["slow"] == ["error_rate", "silence", "duration"]
    assert said["flags"]["failed"] == 1
    assert not (tmp_path / "out/flagged").exists()


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("", 0), ("a b c", 1), ("a a b", 2), ("x a b a b a b y", 3), ("a b c d a b c d", 2), ("no no no no no", 5),
        ("a b c d e a b c d e", 1),
    ],
)  # fmt: skip
def test_a_loop_is_counted_by_how_often_it_is_said(text: str, times: int) -> None:
    assert repeats(text.split()) == times


def test_words_over_one_another_cover_their_time_once() -> None:
    row = {"status": "ok", "text": "a b", "seconds": 10.0, "ctc_loss": None, "alignment": None}
    over = words(("a", 0.0, 4.0), ("b", 1.0, 3.0), ("c", 2.0, 5.0))
    assert measured({**row, "segments": over}, None).silence == pytest.approx(0.5)


def test_clipping_is_heard_from_the_audio_of_each_channel(tmp_path: Path) -> None:
    wave = np.sin(np.arange(16_000) / 5)
    clean, hot = 0.9 * wave, np.clip(1.5 * wave, -1, 1)
    soundfile.write(tmp_path / "a.wav", np.stack([clean, hot], 1), 16_000)
    channels: list[Told] = [{**GOOD, "recording_id": "a", "uri": str(tmp_path / "a.wav"), "channel": c} for c in (0, 1)]
    gone: Told = {**GOOD, "recording_id": "b", "uri": str(tmp_path / "b.wav")}
    where = write_rows(tmp_path / "out", {"000001-000000-x": [*channels, gone]})
    told = filter_rows(Filter(where, clipping=True))
    rows = duckdb.sql(f"FROM '{tmp_path}/out/flagged/*.parquet'").to_arrow_table().to_pylist()
    assert [row["flags"] for row in rows] == [[], ["clipping"], []]
    assert rows[0]["measures"]["clipping"] == 0.0
    assert rows[1]["measures"]["clipping"] == pytest.approx(np.mean(np.abs(hot) == 1), abs=0.01)
    assert rows[2]["measures"]["clipping"] is None
    assert told.unheard == 1
    assert "clipping of 1 rows is not known" in told.text()


@pytest.mark.parametrize("kind", ["Crashed", "TimedOut", "OutOfMemory"])
def test_audio_that_killed_or_stalled_its_reader_is_not_read_again(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(clipping, "open_audio", lambda one, *deck: opened.append(one.uri) or open_audio(one, *deck))
    soundfile.write(tmp_path / "a.wav", np.clip(np.sin(np.arange(16_000) / 5) * 1.5, -1, 1), 16_000)
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    (tmp_path / "c.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    error = {"class": kind, "stage": "audio", "message": "its decoder died"}
    bad: Told = {"recording_id": "b", "status": "failed", "seconds": None, "error": error}
    rows: list[Told] = [{**GOOD, "recording_id": "a"}, bad, {**GOOD, "recording_id": "c"}]
    placed = [{**row, "uri": str(tmp_path / f"{row['recording_id']}.wav")} for row in rows]
    again: Told = {**bad, "recording_id": "c", "uri": str(tmp_path / "c.wav")}
    where = write_rows(tmp_path / "out", {"000001-000000-x": placed, "000002-000000-x": [again]})
    told = filter_rows(Filter(where, clipping=True))
    assert opened == [str(tmp_path / "a.wav")], "and none of a row that no longer stands"
    assert told.spared == 2
    assert "The audio of 2 rows had killed or stalled its reader, and was not read again." in told.text()
    assert flagged(tmp_path / "out/flagged")["a"] == ["clipping"]


def test_a_container_is_read_up_to_the_last_recording_that_is_wanted(tmp_path: Path) -> None:
    """What could not be read to its end has one row for the rest, and that is its last."""
    (shard,) = [table for table in plan([str(CORPUS / "shards")]) if table["recording_id"].null_count]
    names = [recording.recording_id for recording in recordings(shard)]
    read = [recording.recording_id for recording in clipping._among(shard, {names[0], names[2], "gone"})]
    assert read == [names[0], names[2]]
    heard = clipping.clipped(shard, {names[1]})
    assert list(heard) == [names[1]]


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_blocks_of_any_size_clip_alike(size: int) -> None:
    drawn = np.random.default_rng(0).choice([0.0, 1.0, -1.0], (1000, 2), p=[0.5, 0.25, 0.25]).astype(np.float32)
    whole, parts = Tops(), Tops()
    whole.hear(drawn)
    for at in range(0, 1000, size):
        parts.hear(drawn[at : at + size])
    assert parts.shares() == whole.shares()
    runs = "".join("1" if abs(value) == 1 else " " for value in drawn[:, 0]).split()
    assert whole.shares()[0] == sum(len(run) for run in runs if len(run) >= 3) / 1000


def test_an_output_that_is_not_finished_is_flagged_as_far_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = output(tmp_path / "out", unfinished=["000001-000002-x"])
    assert main(["filter", where]) == FINE
    said = capsys.readouterr().out
    assert "1 of 3 shards are missing" in said
    assert "10 of 14 rows are flagged" in said


def test_what_cannot_be_meant_is_told_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ["--min-confidence", "7", "--max-repeats", "0", "--max-seconds", "0.1", "--min-words-per-second", "9"]
    assert main(["filter", str(tmp_path), *wrong]) == UNUSABLE
    said = capsys.readouterr().err
    for part in (
        "min_confidence is 7",
        "max_repeats is 0",
        "max_seconds is 0.1",
        "min_words_per_second is 9",
        "holds no output",
    ):
        assert part in said


def test_the_table_itself_is_never_written_to(tmp_path: Path) -> None:
    where = output(tmp_path / "out")
    for to in ("", "/transcripts", "/plan/x"):
        with pytest.raises(SetupError, match="the table itself lies there"):
            filter_rows(Filter(where, to=where + to))


@pytest.mark.parametrize(("job", "held"), [("label", "labels"), ("embed", "vectors"), ("units", "units")])
def test_what_has_no_text_is_nothing_to_be_suspicious_of(job: str, held: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=f"holds {held}, and no text"):
        filter_rows(Filter(output(tmp_path / "out", options={"job": job})))


def test_the_query_that_is_shown_finds_a_folder_of_any_name(tmp_path: Path) -> None:
    where = output(tmp_path / "it's $(touch gone) `here`")
    _, _, line = filter_rows(Filter(where)).text().rpartition("\n  ")
    program, option, query = shlex.split(line)
    assert (program, option) == ("duckdb", "-c")
    assert len(duckdb.sql(query).fetchall()) == 4


def test_a_bucket_takes_the_flagged_table(tmp_path: Path, moto_s3: str) -> None:
    told = filter_rows(Filter(output(f"{moto_s3}/out")))
    assert told.to == f"{moto_s3}/out/flagged"
    assert filter_rows(Filter(output(tmp_path / "out"))).flags == told.flags
