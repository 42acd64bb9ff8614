"""A sample is extrapolated to the whole, says how sure it is, and is held against what came."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from jobs import measuring
from jobs.cli import main
from jobs.demo.__main__ import CORPUS, HERE, MODEL
from jobs.exits import FINE
from jobs.forecast import START, Forecast, compared, extent, foretold, keep, kept
from jobs.measuring import Measured, measured
from jobs.survey import EACH, SAMPLE, Survey
from models import SpeechModel
from models.protocol import Padded, Refused
from pipeline.audio import AudioRules
from pipeline.bucketing import Buckets
from pipeline.decoding import Fields
from pipeline.inference import Device
from pipeline.output import read_runs
from pipeline.plan import plan
from pipeline.resources import Resources
from pipeline.schema import PLAN
from pipeline.stitching import Row, Stitch, Texts
from pipeline.storage import Store, StoreError
from pipeline.tally import Tally
from tests.faults.runs import start

CLASSIFIER = HERE / "checkpoints" / "keywords"
ROOT = Path(__file__).parents[2]
HEAD = "of a cluster"


def shard(number: int, rows: Sequence[tuple[float | None, int | None]], error: str | None = None) -> pa.Table:
    """Recordings of these lengths and sizes."""
    told = None if error is None else {"class": error, "stage": "plan", "message": ""}
    name = f"{number:03}"
    row = {"shard": name, "format": "audio", "uri": "u", "error": told}
    rows_ = [
        {**row, "ordinal": i, "recording_id": f"{name}/{i}", "duration": duration, "bytes": size}
        for i, (duration, size) in enumerate(rows)
    ]
    return pa.Table.from_pylist(rows_, PLAN)


def surveyed(tables: list[pa.Table], done: Sequence[str] = ()) -> Survey:
    survey = Survey(set(done))
    assert list(survey.passing(tables)) == tables
    return survey


def test_lengths_are_told_or_guessed_by_bytes_or_guessed_by_the_mean() -> None:
    tables = [shard(0, [(10.0, 100), (None, 400)]), shard(1, [(None, None)]), shard(2, [(7.0, 9)])]
    survey = surveyed([*tables, shard(3, [(1000.0, 99)], "NotFound")], done=["002"])
    assert (survey.timed, survey.bytes, survey.unsized, survey.weight) == (10.0, 400, 1, 500 + 1 + 99)
    total, error = extent(survey, [(100, 2.0), (200, 4.0), (300, 6.0)])
    assert total == pytest.approx(10 + 400 * 0.02 + 4.0)
    assert error == pytest.approx(0.0), "every one had the same seconds per byte"


def test_a_sample_that_varies_says_so_and_a_larger_one_is_surer() -> None:
    survey = surveyed([shard(0, [(None, 1_000)])])
    varied = [(100, 1.0), (100, 3.0)]
    few, many = extent(survey, varied * 2)[1], extent(survey, varied * 50)[1]
    assert few == pytest.approx(0.29, abs=0.01)
    assert many == pytest.approx(0.05, abs=0.01)
    assert extent(survey, [(100, 1.0)])[1] == 1.0, "one says nothing of the others"
    assert extent(surveyed([shard(0, [(5.0, 9)])]), varied)[1] == 0.0, "what is told is not guessed"


def test_a_sample_is_small_and_of_every_part() -> None:
    tables = [shard(number, [(1.0, 1)] * 50) for number in range(300)]
    survey = surveyed(tables)
    assert len(survey.sample) == SAMPLE
    from_ = [int(row["shard"][0].as_py()) for row in survey.sample]
    assert min(from_) < 60 and max(from_) > 240
    assert len(surveyed(tables[:2]).sample) == 2 * EACH


def test_time_and_cost_are_those_of_the_slowest_stage() -> None:
    survey = surveyed([shard(0, [(3_600.0, 1_000)])])
    found = Measured([(10, 1.0)] * 5, read=10.0, reading=1.0, heard=10.0, hearing=5.0, loading=2.0)

    def wall(listeners: int, readers: int) -> float:
        pool = Resources(readers, listeners=(1, listeners), listener_gpus=1.0)
        return foretold(survey, found, pool, 2.0, elsewhere=False).wall_seconds

    assert wall(1, 1) == pytest.approx(START + 2 + 1_800)
    assert wall(4, 1) == pytest.approx(START + 2 + 450)
    assert wall(100, 1) == pytest.approx(START + 2 + 360), "then reading is what everything waits for"
    one = Resources(listener_gpus=1.0)
    assert foretold(survey, found, one, 2.0, elsewhere=False).cost == pytest.approx(2 * (START + 1_802) / 3_600)
    assert foretold(survey, found, one, None, elsewhere=False).cost is None


def test_what_is_heard_twice_takes_twice_as_long_to_hear_and_no_longer_to_read() -> None:
    survey = surveyed([shard(0, [(3_600.0, 1_000)])])
    found = Measured([(10, 1.0)] * 5, times=2.0, read=10.0, reading=1.0, heard=10.0, hearing=0.8)
    pool = Resources(1, listener_gpus=1.0)
    told = foretold(survey, found, pool, 2.0, elsewhere=False)
    assert (told.audio_seconds, told.heard_seconds) == (3_600, 7_200)
    assert told.wall_seconds == pytest.approx(START + 3_600 * 2 * 0.08)
    found.times = 1.0
    assert foretold(survey, found, pool, 2.0, elsewhere=False).wall_seconds == pytest.approx(START + 360), "reading"


def test_one_worker_reads_and_hears_what_clusters_are_fitted_to_before_all_begin() -> None:
    survey = surveyed([shard(0, [(3_600.0, 1_000)])])
    found = Measured([(10, 1.0)] * 5, times=2.0, read=10.0, reading=1.0, heard=10.0, hearing=2.5, loading=3.0)
    pool = Resources(2, listeners=(1, 2), listener_gpus=1.0)
    usual = foretold(survey, found, pool, None, elsewhere=False).wall_seconds
    some = foretold(survey, found, pool, None, elsewhere=False, fitted=600.0).wall_seconds
    assert some - usual == pytest.approx(3 + 600 / 2 * (2 * 0.25 + 0.1))
    every = foretold(survey, found, pool, None, elsewhere=False, fitted=float("inf")).wall_seconds
    assert every - usual == pytest.approx(3 + 3_600 * (2 * 0.25 + 0.1))


def test_where_nothing_of_a_sample_was_heard_there_is_no_forecast() -> None:
    told = foretold(surveyed([shard(0, [(9.0, 9)])]), Measured([(9, 9.0)] * 3), Resources(), None, elsewhere=False)
    assert list(told.rows()) == [("forecast", "none: nothing of a sample could be heard")]


def test_on_one_machine_reading_and_hearing_share_its_cores() -> None:
    survey = surveyed([shard(0, [(3_600.0, 1_000)])])
    found = Measured([(10, 1.0)] * 5, read=10.0, reading=2.0, heard=10.0, hearing=5.0)
    crowded = Resources(readers=1, reader_cpus=0.5, listeners=(1, 1), listener_cpus=1.5)
    assert crowded.listener_threads == 2
    here = foretold(survey, found, crowded, None, elsewhere=False)
    assert here.wall_seconds == pytest.approx(START + 3_600 * (2 * 0.5 + 0.2) / 2)
    assert foretold(survey, found, crowded, None, elsewhere=True).wall_seconds == pytest.approx(START + 3_600 * 0.5)


def test_recordings_are_really_read_and_heard(tmp_path: Path) -> None:
    survey = Survey(set())
    list(survey.passing(plan([str(CORPUS / "loose"), str(CORPUS / "shards"), str(CORPUS / "broken")])))
    found = measured(survey.sample, AudioRules(), Buckets(), Device(str(MODEL)))
    assert len(found.sizes) >= 2
    assert all(size > 0 and 0.3 < seconds < 300 for size, seconds in found.sizes)
    assert found.heard > 0 and found.hearing > 0 and found.loading > 0
    assert found.read < sum(seconds for _, seconds in found.sizes)


@dataclass(frozen=True)
class Noting:
    """Hears nothing, and keeps whose pieces it was given."""

    owners: list[tuple[str, int]] = field(default_factory=list)
    error: StoreError | None = None
    """What it meets in storage."""

    def flaws(self, model: SpeechModel) -> Iterator[str]:
        return iter(())

    def audio(self, model: SpeechModel, rules: AudioRules) -> AudioRules:
        return rules

    def stitch(self, model: SpeechModel) -> Stitch:
        return Texts()

    def hear(self, model: SpeechModel, batch: Padded, owners: Sequence[Row]) -> Sequence[Fields | Refused]:
        if self.error is not None:
            raise self.error
        self.owners.extend((str(owner["shard"]), int(str(owner["ordinal"]))) for owner in owners)
        return [Refused("nothing is heard here")] * len(owners)


def test_every_recording_of_a_sample_keeps_its_place_in_its_shard(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "READING", 60.0)
    survey, task = Survey(set()), Noting()
    list(survey.passing(plan([str(corpus)])))
    measured(survey.sample, AudioRules(), Buckets(), Device(str(MODEL), task=task))
    expected = {(row["shard"][0].as_py(), row["ordinal"][0].as_py()) for row in survey.sample}
    assert len(expected) == EACH
    assert set(task.owners) == expected


def test_what_storage_kept_a_model_from_hearing_is_not_heard(corpus: Path) -> None:
    survey, task = Survey(set()), Noting(error=StoreError("NotFound", "it is not there"))
    list(survey.passing(plan([str(corpus)])))
    found = measured(survey.sample, AudioRules(), Buckets(), Device(str(MODEL), task=task))
    assert (found.heard, found.times) == (0.0, pytest.approx(1.0))
    (told,) = foretold(survey, found, Resources(), None, elsewhere=False).rows()
    assert told == ("forecast", "none: nothing of a sample could be heard")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(6):
        soundfile.write(folder / f"{number}.wav", np.random.default_rng(7).normal(0, 0.1, 32_000), 16_000)
    return folder


def test_a_dry_run_foretells_and_starts_nothing(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["transcribe", str(corpus), "-o", str(tmp_path / "out"), "-m", str(MODEL), "--dry-run", "--price", "cpu=1"]
    assert main(asked) == FINE
    said = capsys.readouterr().out
    assert "forecast    12 s of audio" in said
    assert "by the given prices" in said and "recordings read" in said
    assert main([*asked, "--json"]) == FINE
    told = json.loads(capsys.readouterr().out)["forecast"]
    assert told["audio_seconds"] == pytest.approx(12.0, rel=0.02)
    assert told["wall_seconds"] > START and told["cost"] == pytest.approx(told["wall_seconds"] / 3600)
    assert kept(Store(str(tmp_path / "out"))) == Forecast(**told)
    assert not (tmp_path / "out" / "plan").exists() and not (tmp_path / "out" / "transcripts").exists()


@pytest.mark.parametrize(
    "job", [("embed", "--frames", "--layers", "1"), ("units", "--clusters", "12"), ("units", "--runs")]
)
def test_a_dry_run_hears_as_a_run_does_and_leaves_nothing_but_its_forecast(
    job: tuple[str, ...], corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [job[0], str(corpus), "-o", str(tmp_path / "out"), "-m", str(CLASSIFIER), *job[1:], "--dry-run", "--json"]
    assert main(asked) == FINE
    told = json.loads(capsys.readouterr().out)["forecast"]
    assert told["heard"] >= 2.0, "and the model was not refused what it needs"
    assert told["wall_seconds"] > START
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["forecast.json"]


SECONDS = 4.0
HEARD = {
    ("transcribe", "-m", str(MODEL)): 1.0,
    ("transcribe", "-m", str(MODEL), "--channels", "each"): 2.0,
    ("label", "-m", str(CLASSIFIER), "--window-seconds", "2", "--hop-seconds", "0.5"): 2.5,
    ("label", "-m", str(CLASSIFIER), "--window-seconds", "2", "--hop-seconds", "0.5", "--channels", "each"): 5.0,
}
"""How often models hear each second of four in stereo; five windows of two seconds fit into them."""


@pytest.mark.parametrize("timed", [True, False], ids=["timed", "untimed"])
@pytest.mark.parametrize("job", HEARD, ids=["mixed", "each", "windows", "windows of each"])
def test_hours_of_audio_are_the_recordings_own_however_often_they_are_heard(
    job: tuple[str, ...], timed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = []
    for number in range(4):
        noise = np.random.default_rng(number).normal(0, 0.1, (int(SECONDS * 16_000), 2))
        soundfile.write(tmp_path / f"{number}.wav", noise, 16_000)
        lines.append(json.dumps({"audio_filepath": f"{number}.wav", "offset": 0.0, "duration": SECONDS}))
    (tmp_path / "manifest.json").write_text("\n".join(lines))
    there = tmp_path / "manifest.json" if timed else tmp_path / "*.wav"
    assert main([job[0], str(there), "-o", str(tmp_path / "out"), *job[1:], "--dry-run", "--json"]) == FINE
    told = json.loads(capsys.readouterr().out)["forecast"]
    assert told["audio_seconds"] == pytest.approx(4 * SECONDS, rel=0.01)
    assert told["times_heard"] == pytest.approx(HEARD[job], rel=0.01)
    said = "for models to hear" in str(list(Forecast(**told).rows()))
    assert said == (HEARD[job] > 1)


@pytest.mark.parametrize(("poison", "word"), [("decoder dies", "segv"), ("decoder hangs", "hangs")])
def test_a_recording_that_kills_or_stalls_its_decoder_costs_a_dry_run_that_recording(
    poison: str, word: str, corpus: Path, tmp_path: Path
) -> None:
    for number in (4, 5):
        (corpus / f"{number}.wav").unlink()
    (corpus / "1.wav").rename(corpus / f"1-{word}.wav")
    ended = start(corpus, tmp_path / "out", "--dry-run", meddle=poison).end(120)
    assert ended.code == FINE, ended.err
    told = ended.said()["forecast"]
    assert isinstance(told, dict)
    assert told["recordings"] >= 2
    assert told["audio_seconds"] == pytest.approx(8.0, rel=0.02)


@pytest.fixture
def head() -> Iterator[str]:
    """The address of something that lets itself be called: a dry run asks for no more."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize(
    ("words", "hourly"),
    [
        (("--price", "cpu=1"), 1.0),
        (("--price", "gpu=2.5"), None),
        (("--price", "a-group=9", "--address", HEAD, "--pool", "1-8", "--device", "cuda"), None),
        (("--price", "gpu=2.5", "--address", HEAD, "--pool", "1-8", "--device", "cuda"), 8 * 2.5),
        (("--price", "gpu=2.5", "cpu=1", "--address", HEAD, "--pool", "1-8", "--device", "cuda"), 8 * 2.5 + 1),
        (("--price", "cpu=1", "--address", HEAD, "--pool", "8"), 1 + 8 / 2),
        (("--price", "cpu=1", "--address", HEAD, "--pool", "8", "--model-cpus", "2"), 1 + 8),
        (("--price", "cpu=1", "--address", HEAD, "--pool", "3", "--model-cpus", "4"), 1 + 3),
        (("--price", "gpu=2.5", "--address", HEAD, "--pool", "8", "--model-gpus", "0.5"), 4 * 2.5),
        (("--price", "gpu=2.5", "--address", HEAD, "--pool", "5", "--model-gpus", "0.6"), 5 * 2.5),
        (("--price", "gpu=2.5", "--address", HEAD, "--pool", "3", "--model-gpus", "2"), 6 * 2.5),
        (("--price", "gpu=2.5", "--address", HEAD, "--model-gpus", "0.5"), 2.5),
    ],
)
def test_every_machine_of_the_pool_is_paid_for(
    words: Sequence[str],
    hourly: float | None,
    head: str,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    prices = [word for word in words if "=" in word]
    more = [head if word == HEAD else word for word in words if "=" not in word and word != "--price"]
    asked = ["transcribe", str(corpus), "-o", str(tmp_path / "out"), "-m", str(MODEL), "--dry-run"]
    asked += [*more, *(part for price in prices for part in ("--price", price))]
    assert main([*asked, "--json"]) == FINE
    told = json.loads(capsys.readouterr().out)["forecast"]
    assert told["unpriced"] == (hourly is None)
    found = None if told["cost"] is None else 3600 * told["cost"] / told["wall_seconds"]
    assert found == (None if hourly is None else pytest.approx(hourly))
    assert ("what it costs is unknown" in str(list(Forecast(**told).rows()))) == (hourly is None)


def test_a_cluster_is_reckoned_with_as_it_is_asked_for_and_one_of_unknown_size_is_told(
    head: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reckoned: list[Resources] = []

    def noted(survey: Survey, found: Measured, resources: Resources, *told: float, **more: bool) -> Forecast:
        reckoned.append(resources)
        return foretold(survey, found, resources, *told, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("jobs.preview.foretold", noted)
    asked = ["transcribe", str(corpus), "-o", str(tmp_path / "out"), "-m", str(MODEL), "--dry-run", "--address", head]
    sizes = ("--readers", "7", "--reader-cpus", "1.5", "--model-cpus", "2")
    assert main([*asked, *sizes, "--pool", "1-8"]) == FINE
    sized = capsys.readouterr().out
    assert (reckoned[0].readers, reckoned[0].reader_cpus, reckoned[0].listener_threads) == (7, 1.5, 2)
    assert reckoned[0].listeners == (1, 8)
    assert "with 8 models, give or take" in sized and "--pool" not in sized
    assert main(asked) == FINE
    unsized = capsys.readouterr().out
    assert re.search(r" with \d+ models?$", unsized, re.MULTILINE)
    assert "how many the cluster has room for is not known here: --pool says" in unsized


@pytest.mark.ray
@pytest.mark.slow
def test_a_run_takes_what_was_foretold(corpus: Path, tmp_path: Path) -> None:
    asked = [
        "transcribe",
        str(corpus),
        "-o",
        str(tmp_path / "out"),
        "-m",
        str(MODEL),
        "--cpus",
        "2",
        "--price",
        "cpu=1",
    ]
    for more in (["--dry-run"], []):
        command = [sys.executable, "-m", "jobs.cli", *asked, *more]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        assert ran.returncode == FINE, ran.stderr
    (record,) = read_runs(Store(str(tmp_path / "out")))
    came = record["forecast"]
    assert isinstance(came, dict)
    assert came["whole"]
    assert came["audio"] == pytest.approx(1.0, abs=0.02)
    assert 1 / 3 < came["wall"] < 3, "a machine with other work is slow; one without is not three times as fast"
    assert came["cost"] == pytest.approx(came["wall"], rel=0.25), "but for the end of the engine, which nobody watches"


def test_a_forecast_is_held_against_what_came(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert kept(store) is None and compared(None, Tally(missing=5), 10.0) is None
    forecast = Forecast(100.0, 0.1, 50.0, 0.2, 2.0, 9, 60.0, 1, False, 1_000)
    keep(store, forecast)
    whole = compared(kept(store), Tally(heard=110.0, missing=1_000, cost=1.0), 75.0)
    assert whole is not None and whole.whole
    assert (whole.audio, whole.wall, whole.cost) == (1.1, 1.5, 0.5)
    keep(store, replace(forecast, times_heard=2.0))
    assert (each := compared(kept(store), Tally(heard=110.0, missing=1_000), 75.0)) is not None and each.audio == 0.55
    rest = compared(kept(store), Tally(heard=50.0, missing=400), 20.0)
    assert rest is not None and not rest.whole
    store.put("forecast.json", b"{")
    assert kept(store) is None
