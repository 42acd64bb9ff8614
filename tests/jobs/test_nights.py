"""Nights on a growing bucket: runs are killed, overlap, are missed or started twice; the table is right each morning.

The bucket is one of a real S3 server, or a folder that stands for it, and the table lies beside what it is made of.
Every version of a recording has a length that no other has, so a row tells which version was read; its text must be
what the model writes of that version alone.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest

from jobs.cli import main
from jobs.exits import FAILED_ROWS, FINE, HELD
from models import load_model
from pipeline.latest import latest
from pipeline.output import read_runs
from pipeline.storage import Store
from tests.checkpoints import write_small_speller
from tests.jobs.bucket import BROKEN, RATE, Bucket, Heard

pytestmark = [pytest.mark.ray, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
LIMIT = 300.0
TROUBLES = ("none", "killed while planning", "killed while writing", "doubled", "overlap", "missed", "again")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_speller(tmp_path_factory.mktemp("model"))


@dataclass(frozen=True)
class Schedule:
    """What starts the runs."""

    bucket: Bucket
    output: Store
    model: Path

    def start(self, date: str) -> "subprocess.Popen[str]":
        words = ["incremental", "--inputs", self.bucket.store.url, "--date", date, "--json", "--cpus", "2"]
        words += ["-o", self.output.url, "-m", str(self.model), "--shard-size", "2", "--window", "2"]
        asked = [sys.executable, "-m", "jobs.cli", *words]
        return subprocess.Popen(asked, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, date: str) -> dict[str, object]:
        """Run to the end; what was said."""
        return ended(self.start(date))

    def kill(self, date: str, folder: str) -> None:
        """SIGKILL a run as soon as it has written into a folder of the output, and before it is done."""
        before = self.holds(folder)
        run = self.start(date)
        waited(run, lambda: self.holds(folder) != before)
        os.kill(run.pid, signal.SIGKILL)
        _, said = run.communicate()
        assert (run.returncode, date in self.recorded()) == (-signal.SIGKILL, False), f"it was over already\n{said}"

    def double(self, date: str) -> None:
        """Start a night once more while it is at work: the second is turned away, or finds it done and says so."""
        first = self.start(date)
        waited(first, lambda: f'"pid": {first.pid},' in self.lease())
        second = self.start(date)
        out, err = second.communicate(timeout=LIMIT)
        done = ended(first)
        assert second.returncode == HELD or json.loads(out)["run_id"] == done["run_id"], err

    def overlap(self, date: str, other: str) -> None:
        """Start two nights at once: one is turned away, and is done when it is started again."""
        runs = {name: self.start(name) for name in (date, other)}
        said = {name: run.communicate(timeout=LIMIT)[1] for name, run in runs.items()}
        held = [name for name, run in runs.items() if run.returncode == HELD]
        assert len(held) == 1, said
        assert all(run.returncode in (HELD, FINE, FAILED_ROWS) for run in runs.values()), said
        assert held[0] not in self.recorded()
        self.finish(held[0])

    def recorded(self) -> list[str]:
        """The dates of the runs that came to their end."""
        return [str(cast("dict[str, object]", record["settings"])["date"]) for record in read_runs(self.output)]

    def holds(self, folder: str) -> set[str]:
        return {Path(entry.uri).name for entry in self.output.names(folder) if entry.uri.endswith(".parquet")}

    def lease(self) -> str:
        there = any(entry.uri == "lease.json" for entry in self.output.names())
        return self.output.read("lease.json").decode() if there else ""


def ended(run: "subprocess.Popen[str]") -> dict[str, object]:
    out, err = run.communicate(timeout=LIMIT)
    assert run.returncode in (FINE, FAILED_ROWS), err
    said: dict[str, object] = json.loads(out)
    return said


def waited(run: "subprocess.Popen[str]", come: Callable[[], bool]) -> None:
    """Return when it has come, or the run is over."""
    until = time.monotonic() + LIMIT
    while run.poll() is None and not come():
        assert time.monotonic() < until
        time.sleep(0.005)


def play(schedule: Schedule, date: str, trouble: str) -> None:
    """One night."""
    match trouble:
        case "killed while planning" | "killed while writing":
            schedule.kill(date, "plan" if trouble.endswith("planning") else "transcripts")
            schedule.bucket.late()
        case "doubled":
            schedule.double(date)
        case "overlap":
            schedule.overlap(date, noon(date))
    said = schedule.finish(date)
    schedule.bucket.listed = dict(schedule.bucket.truth)
    if trouble == "again":
        stood = schedule.holds("transcripts") | schedule.holds("plan")
        schedule.bucket.speak("afterwards")
        again = schedule.finish(date)
        assert (again["run_id"], again["counts"]) == (said["run_id"], said["counts"])
        assert stood == schedule.holds("transcripts") | schedule.holds("plan"), "the same date is done once"
        schedule.bucket.lose("afterwards")


def noon(date: str) -> str:
    """Another logical date."""
    return f"{date}T12:00"


def morning(schedule: Schedule, dates: Sequence[str]) -> None:
    """Everything that ever lay there is in the table once, in its newest version, and every night has its record."""
    rows = pa.concat_tables(latest(schedule.output, ["recording_id", "status", "seconds", "text"])).to_pylist()
    found = sorted((Path(row["recording_id"]).stem, heard(row)) for row in rows)
    assert found == sorted(schedule.bucket.truth.items())
    assert main(["verify", schedule.output.url]) == FINE
    assert sorted(schedule.recorded()) == sorted(dates)


def heard(row: dict[str, object]) -> Heard:
    seconds, text = row["seconds"], row["text"]
    if row["status"] == "failed" or not isinstance(seconds, float):
        return BROKEN
    assert isinstance(text, str)
    return round(seconds * RATE), text


SHORT = ("killed while writing", "missed", "overlap", "doubled")


@pytest.mark.parametrize("nights", [len(SHORT), 30])
@pytest.mark.parametrize("place", ["folder", pytest.param("rgw", marks=pytest.mark.s3)])
def test_the_table_is_right_every_morning(
    place: str, nights: int, model: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    root = str(tmp_path) if place == "folder" else request.getfixturevalue(place)
    chance = random.Random(nights)
    troubles = SHORT if nights == len(SHORT) else (*TROUBLES, *chance.choices(TROUBLES, k=nights - len(TROUBLES)))
    (tmp_path / "corpus").mkdir()
    bucket = Bucket(Store(f"{root}/corpus"), chance, load_model(str(model)))
    schedule = Schedule(bucket, Store(f"{root}/out"), model)
    dates: list[str] = []
    for night, trouble in enumerate(troubles, start=1):
        schedule.bucket.day()
        if trouble != "missed":
            date = f"2026-11-{night:02}"
            dates += [date, noon(date)] if trouble == "overlap" else [date]
            play(schedule, date, trouble)
            morning(schedule, dates)
    texts = {text for _, text in bucket.truth.values() if text}
    assert len(texts) > len(bucket.truth) // 2, "versions that read alike would not be told apart"
