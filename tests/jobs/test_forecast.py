"""A sample is extrapolated to the whole, says how sure it is, and is held against what came."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from jobs.cli import main
from jobs.demo.__main__ import CORPUS, MODEL
from jobs.exits import FINE
from jobs.forecast import START, Forecast, compared, extent, foretold, keep, kept
from jobs.measuring import Measured, measured
from jobs.survey import EACH, SAMPLE, Survey
from pipeline.audio import AudioRules
from pipeline.bucketing import Buckets
from pipeline.inference import Device
from pipeline.output import read_runs
from pipeline.plan import plan
from pipeline.resources import Resources
from pipeline.schema import PLAN
from pipeline.storage import Store
from pipeline.tally import Tally

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
    ],
)
def test_every_machine_of_the_pool_is_paid_for(
    words: Sequence[str],
    hourly: float | None,
    head: str,
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prices = [word for word in words if "=" in word]
    more = [head if word == HEAD else word for word in words if "=" not in word and word != "--price"]
    asked = ["transcribe", str(corpus), "-o", str(tmp_path / "out"), "-m", str(MODEL), "--dry-run", "--cpus", "2"]
    asked += [*more, *(part for price in prices for part in ("--price", price))]
    assert main([*asked, "--json"]) == FINE
    told = json.loads(capsys.readouterr().out)["forecast"]
    assert told["unpriced"] == (hourly is None)
    found = None if told["cost"] is None else 3600 * told["cost"] / told["wall_seconds"]
    assert found == (None if hourly is None else pytest.approx(hourly))
    assert ("what it costs is unknown" in str(list(Forecast(**told).rows()))) == (hourly is None)


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
    rest = compared(kept(store), Tally(heard=50.0, missing=400), 20.0)
    assert rest is not None and not rest.whole
    store.put("forecast.json", b"{")
    assert kept(store) is None
