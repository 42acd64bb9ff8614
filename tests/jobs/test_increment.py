"""`steno incremental` and `steno retry`: what is new, changed, gone or failed (on the engine: `test_nights`)."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from jobs import Incremental, Retry, SetupError, Transcribe, incremental, retry, transcribe
from jobs.cli import main
from jobs.exits import FINE, UNUSABLE
from jobs.increment import run_id
from jobs.outcome import look
from pipeline.latest import latest
from pipeline.output import generations
from pipeline.storage import Store
from tests.checkpoints import write_small_speller
from tests.clips import make_clips
from tests.faults.runs import engineless
from tests.pipeline.corpora import tarred, written

CLIP = make_clips(16_000, seed=0).good[0]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_speller(tmp_path_factory.mktemp("model"))


@pytest.fixture
def here() -> Iterator[None]:
    """Without the engine."""
    with engineless():
        yield


def speak(path: Path, seed: int) -> None:
    """A recording of noise, at another time than any before it: a second is what some disks tell apart."""
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, 16_000), 16_000, format="FLAC")
    os.utime(path, (1_700_000_000 + seed, 1_700_000_000 + seed))


def texts(output: str) -> dict[str, tuple[str, str]]:
    """Every recording that stands, with its status and text."""
    rows = pa.concat_tables(latest(Store(output), ["recording_id", "status", "text"])).to_pylist()
    found = {row["recording_id"]: (row["status"], row["text"]) for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.usefixtures("here")
def test_each_night_adds_what_is_new_or_changed_and_nothing_is_done_twice(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "corpus"
    for name in ("a", "b", "c"):
        speak(corpus / f"{name}.flac", ord(name))
    (corpus / "d.flac").write_text("not yet")
    options = Incremental((str(corpus),), str(tmp_path / "out"), str(model), cpus=2, date="2026-11-20")
    first = incremental(options)
    assert (first.added, first.counts["ok"], first.failed) == (4, 3, 1)
    assert first.run_id.startswith("20261120T000000Z-")
    before = texts(options.output)

    speak(corpus / "b.flac", 200)
    speak(corpus / "d.flac", 201)
    speak(corpus / "e.flac", 202)
    (corpus / "c.flac").unlink()
    again = incremental(options)
    assert (again.run_id, again.counts) == (first.run_id, first.counts), "the same night is done once"
    with monkeypatch.context() as late:
        late.setattr("jobs.increment.recorded", lambda _: None)
        assert incremental(options).counts == first.counts, "nor where two were started almost together"
    assert texts(options.output) == before
    assert len(generations(Store(options.output))) == 1
    second = incremental(replace(options, date="2026-11-21"))
    assert (second.added, second.counts["ok"]) == (3, 3)
    after = texts(options.output)
    assert set(after) == {f"corpus/{name}.flac" for name in "abcde"}
    assert {name for name, told in after.items() if told != before.get(name)} == {
        "corpus/b.flac",
        "corpus/d.flac",
        "corpus/e.flac",
    }
    assert after == texts(transcribe_afresh(corpus, model, tmp_path)) | {"corpus/c.flac": before["corpus/c.flac"]}
    quiet = incremental(replace(options, date="2026-11-22"))
    assert (quiet.added, quiet.shards) == (0, 0)
    assert look(Store(options.output)).counts == {"ok": 5, "empty": 0, "skipped": 0, "failed": 0}
    assert main(["verify", options.output]) == FINE


def transcribe_afresh(corpus: Path, model: Path, folder: Path) -> str:
    return transcribe(Transcribe((str(corpus),), str(folder / "afresh"), str(model), cpus=2)).output


@pytest.mark.usefixtures("here")
def test_what_failed_is_tried_again_with_the_options_of_the_last_run(model: Path, tmp_path: Path) -> None:
    corpus, output = tmp_path / "corpus", str(tmp_path / "out")
    speak(corpus / "a.flac", 1)
    speak(corpus / "late.flac", 2)
    manifest = tmp_path / "corpus" / "manifest.jsonl"
    names = ("a.flac", "late.flac", "never.flac")
    manifest.write_text("".join(json.dumps({"audio_filepath": name}) + "\n" for name in names))
    late = (corpus / "late.flac").read_bytes()
    (corpus / "late.flac").write_bytes(b"half")
    transcribe(Transcribe((str(manifest),), output, str(model), channels="first", cpus=2))
    before = texts(output)
    assert [status for status, _ in before.values()].count("failed") == 2

    (corpus / "late.flac").write_bytes(late)
    with pytest.raises(SetupError, match=r"errors NotThere: rows failed with .*NotFound"):
        retry(Retry(output, errors=("NotThere",), cpus=2))
    report = retry(Retry(output, cpus=2))
    assert (report.added, report.counts["ok"], report.failed) == (2, 1, 1)
    assert report.settings["channels"] == "first"
    after = texts(output)
    assert [name for name, told in after.items() if told != before[name]] == [n for n in after if "late" in n]
    assert main(["verify", output]) == FINE


def packed(folder: Path, *seeds: int) -> bytes:
    """A tar of recordings."""
    for seed in seeds:
        speak(folder / f"{seed}.flac", seed)
    return tarred([(f"{seed}.flac", (folder / f"{seed}.flac").read_bytes()) for seed in seeds])


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("by", ["incremental", "retry"])
def test_a_tar_that_was_cut_short_is_whole_when_it_is_read_again(model: Path, tmp_path: Path, by: str) -> None:
    corpus, whole = tmp_path / "corpus", packed(tmp_path / "loose", 1, 2, 3)
    options = Incremental((str(corpus),), str(tmp_path / "out"), str(model), cpus=2)
    written(corpus, {"calls.tar": whole[: len(whole) // 2]})
    assert incremental(options).failed == 1
    written(corpus, {"calls.tar": whole})
    report = incremental(options) if by == "incremental" else retry(Retry(options.output, cpus=2))
    assert (report.added, report.failed) == (1, 0)
    assert set(texts(options.output)) == {f"corpus/calls.tar/{seed}.flac" for seed in (1, 2, 3)}
    assert look(Store(options.output)).counts["failed"] == 0
    assert retry(Retry(options.output, cpus=2)).added == 0, "nothing is left to be tried again"
    assert main(["verify", options.output]) == FINE


@pytest.mark.usefixtures("here")
def test_rows_that_a_table_does_not_hold_any_more_are_gone(model: Path, tmp_path: Path) -> None:
    packed(tmp_path / "loose", 1, 2, 3, 4)
    (tmp_path / "corpus").mkdir()
    options = Incremental((str(tmp_path / "corpus"),), str(tmp_path / "out"), str(model), cpus=2)
    for seeds in ((1, 2, 3), (4,)):
        audio = [(tmp_path / f"loose/{seed}.flac").read_bytes() for seed in seeds]
        pq.write_table(pa.table({"audio": audio}), tmp_path / "corpus" / "t.parquet")
        assert incremental(options).counts["ok"] == len(seeds)
    assert set(texts(options.output)) == {"corpus/t.parquet/0"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--date", "yesterday"), "date is 'yesterday': it must look like 2026-11-20"),
        (("--inputs", "in/{date}"), "input in/{date} asks for a date"),
        (
            ("--date", "2026-11-20", "--inputs", "in/{date}/calls"),
            "input in/{date}/calls: {date} must stand in its last",
        ),
    ],
)
def test_a_wrong_date_is_told_with_all_else_that_is_wrong(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = () if "--inputs" in words else ("--inputs", "somewhere")
    assert main(["incremental", *words, *asked, "-o", "out", "-m", "none", "--beam", "0", "--json"]) == UNUSABLE
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert problems[0].startswith("beam is 0") and problems[1].startswith(said)
    assert [problem.partition(": ")[0] for problem in problems[2:]] == ["model", "input"][: 1 + bool(asked)]


@pytest.mark.usefixtures("here")
def test_a_dry_run_of_a_date_that_is_done_changes_nothing(model: Path, tmp_path: Path) -> None:
    speak(tmp_path / "corpus" / "a.flac", 1)
    words = ["incremental", "--inputs", str(tmp_path / "corpus"), "-o", str(tmp_path / "out"), "-m", str(model)]
    assert main([*words, "--cpus", "1", "--date", "2026-11-20"]) == FINE
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert any(path.suffix == ".html" for path in before)
    assert main([*words, "--cpus", "1", "--date", "2026-11-20", "--dry-run"]) == FINE
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_a_date_is_the_moment_that_it_names_wherever_it_was_named() -> None:
    dates = ("2026-11-20T04:00", "2026-11-20T06:00+02:00", "2026-11-20T06:00+05:00")
    first, same, other = (run_id(Incremental(("in",), "out", "model", date=date)) for date in dates)
    assert first == same != other
    assert first.startswith("20261120T040000Z-") and other.startswith("20261120T010000Z-")


@pytest.mark.parametrize("name", ["in/{date}", "s3://in/{date}/", "in/{date}/*.tar", "in/calls-{date}.jsonl"])
def test_a_date_may_stand_in_the_last_part_of_an_input(name: str) -> None:
    assert not [flaw for flaw in Incremental((name,), "out", "none", date="2026-11-20").flaws() if "date" in flaw]


def test_an_output_that_is_none_cannot_be_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retry", str(tmp_path)]) == UNUSABLE
    assert "holds no output of steno" in capsys.readouterr().err
