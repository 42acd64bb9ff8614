"""Nights on a growing bucket: runs are killed, overlap, are missed or started twice; the table is right each morning.

Every version of a recording has a length that no other has, so a row tells which version was read.
"""

import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from jobs.cli import main
from jobs.exits import FAILED_ROWS, FINE, HELD
from pipeline.latest import latest
from pipeline.storage import Store
from tests.checkpoints import CONFIGS, write_random
from tests.clips import make_clips

pytestmark = [pytest.mark.ray, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
RATE, LIMIT = 16_000, 300.0
SPELLING = {"<pad>": 0, "|": 1} | {chr(97 + i): i + 2 for i in range(22)}
BROKEN = 0
"""Samples of what cannot be read."""
TROUBLES = ("none", "killed while planning", "killed while writing", "overlap", "missed", "again")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_random("HubertForCTC", CONFIGS["HuBERT"], make_clips(RATE, seed=0).good[0], folder)
    (folder / "vocab.json").write_text(json.dumps(SPELLING))
    return folder


@dataclass
class Bucket:
    """What lies there, and what a table of it must hold."""

    folder: Path
    chance: random.Random
    truth: dict[str, int] = field(default_factory=dict)
    """Samples of the newest version of everything that ever lay there, by the last part of its name."""
    listed: dict[str, int] = field(default_factory=dict)
    """The same, at the end of the last run."""
    versions: int = 0

    def day(self) -> None:
        """New files, one late, one half written; one is changed, one mended, one deleted; the tar is packed anew."""
        there = sorted(self.folder.glob("*.wav"))
        broken = [path for path in there if self.truth[path.stem] == BROKEN]
        for path in [*self.chance.sample(there, min(1, len(there))), *broken]:
            self.speak(path.stem)
        if len(there) > 3:
            self.lose(self.chance.choice(there))
        for _ in range(2):
            self.speak(f"new{self.versions}")
        self.late()
        self.half(f"half{self.versions}")
        if self.chance.random() < 0.7:
            self.pack()

    def lose(self, path: Path) -> None:
        """A file is deleted: what was read of it stays, and a version that no run has seen was never there."""
        path.unlink()
        del self.truth[path.stem]
        if path.stem in self.listed:
            self.truth[path.stem] = self.listed[path.stem]

    def late(self) -> None:
        """A file that is older than all that was planned."""
        name = f"late{self.versions}"
        self.speak(name)
        os.utime(self.folder / f"{name}.wav", (1_000_000_000, 1_000_000_000))

    def speak(self, name: str) -> None:
        """A recording, or its next version."""
        (self.folder / f"{name}.wav").write_bytes(self.noise(name))

    def half(self, name: str) -> None:
        """An upload that is not finished."""
        (self.folder / f"{name}.wav").write_bytes(b"RIFF")
        self.truth[name], self.versions = BROKEN, self.versions + 1

    def pack(self) -> None:
        """A tar of three calls, all in a new version."""
        with tarfile.open(self.folder / "calls.tar", "w") as tar:
            for number in range(3):
                sound = self.noise(f"call{number}")
                member = tarfile.TarInfo(f"call{number}.wav")
                member.size = len(sound)
                tar.addfile(member, io.BytesIO(sound))

    def noise(self, name: str) -> bytes:
        """As long as nothing before it."""
        self.versions += 1
        self.truth[name] = RATE // 2 + 16 * self.versions
        file = io.BytesIO()
        sound = np.random.default_rng(self.versions).normal(0, 0.1, self.truth[name])
        soundfile.write(file, sound, RATE, format="WAV")
        return file.getvalue()


@dataclass(frozen=True)
class Schedule:
    """What starts the runs."""

    bucket: Bucket
    output: Path
    model: Path

    def start(self, date: str) -> "subprocess.Popen[str]":
        words = ["incremental", "--inputs", str(self.bucket.folder), "--date", date, "--json", "--cpus", "2"]
        words += ["-o", str(self.output), "-m", str(self.model), "--shard-size", "2", "--window", "2"]
        asked = [sys.executable, "-m", "jobs.cli", *words]
        return subprocess.Popen(asked, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, date: str) -> dict[str, object]:
        """Run to the end; what was said."""
        return ended(self.start(date))

    def kill(self, date: str, folder: str) -> None:
        """SIGKILL a run as soon as it has written into a folder of the output."""
        before = self.holds(folder)
        run = self.start(date)
        waited(run, lambda: self.holds(folder) != before)
        os.kill(run.pid, signal.SIGKILL)
        run.communicate()

    def overlap(self, date: str, other: str) -> None:
        """Start one while another runs: it must stop, unless the first was done before it looked."""
        first = self.start(date)
        waited(first, lambda: f'"pid": {first.pid},' in self.lease())
        second = self.start(other)
        _, said = second.communicate(timeout=LIMIT)
        assert second.returncode == HELD or first.poll() is not None, said
        ended(first)

    def holds(self, folder: str) -> set[str]:
        return {path.name for path in (self.output / folder).glob("*.parquet")}

    def lease(self) -> str:
        path = self.output / "lease.json"
        return path.read_text() if path.exists() else ""


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
        case "overlap":
            schedule.overlap(date, date)
    said = schedule.finish(date)
    schedule.bucket.listed = dict(schedule.bucket.truth)
    if trouble == "again":
        stood = schedule.holds("transcripts") | schedule.holds("plan")
        schedule.bucket.speak("afterwards")
        again = schedule.finish(date)
        assert (again["run_id"], again["counts"]) == (said["run_id"], said["counts"])
        assert stood == schedule.holds("transcripts") | schedule.holds("plan"), "the same date is done once"
        schedule.bucket.lose(schedule.bucket.folder / "afterwards.wav")


def morning(schedule: Schedule, dates: Sequence[str]) -> None:
    """Everything that ever lay there is in the table once, in its newest version, and every night has its record."""
    tables = latest(Store(str(schedule.output)), ["recording_id", "status", "seconds"])
    rows = pa.concat_tables(tables).to_pylist()
    found = sorted((Path(row["recording_id"]).stem, samples(row)) for row in rows)
    assert found == sorted(schedule.bucket.truth.items())
    assert main(["verify", str(schedule.output)]) == FINE
    records = [json.loads(path.read_text()) for path in schedule.output.glob("runs/*.json")]
    assert sorted(record["settings"]["date"] for record in records) == sorted(dates)


def samples(row: dict[str, object]) -> int:
    seconds = row["seconds"]
    return BROKEN if row["status"] == "failed" or not isinstance(seconds, float) else round(seconds * RATE)


SHORT = ("killed while writing", "missed", "overlap")


@pytest.mark.parametrize("nights", [len(SHORT), 30])
def test_the_table_is_right_every_morning(nights: int, model: Path, tmp_path: Path) -> None:
    chance = random.Random(nights)
    troubles = SHORT if nights == len(SHORT) else (*TROUBLES, *chance.choices(TROUBLES, k=nights - len(TROUBLES)))
    folder = tmp_path / "corpus"
    folder.mkdir()
    schedule = Schedule(Bucket(folder, chance), tmp_path / "out", model)
    dates: list[str] = []
    for night, trouble in enumerate(troubles, start=1):
        schedule.bucket.day()
        if trouble != "missed":
            dates.append(f"2026-11-{night:02}")
            play(schedule, dates[-1], trouble)
            morning(schedule, dates)
