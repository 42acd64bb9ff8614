"""A run that is killed, or that holds what kills its workers, ends with the table that an untroubled one makes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.faults.runs import Row, rows, without_engine
from tests.models.reference import published

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[2]
DRIVER = """
import sys
from jobs import Transcribe, transcribe
report = transcribe(Transcribe((sys.argv[1],), sys.argv[2], sys.argv[3], shard_size=2, cpus=2))
print("PASSES", report.passes)
"""
POISON = """
import os, signal
import pipeline.audio
import pipeline.inference

segments, hear = pipeline.audio.segments, pipeline.inference.Listener.__call__

def killed(recording, rules):
    if "segv" in recording.uri and recording.failure is None:
        os.kill(os.getpid(), signal.SIGSEGV)
    return segments(recording, rules)

def shot(self, batch):
    if any("shoots" in key["uri"] for keys in batch["keys"].to_pylist() for key in keys if key["uri"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return hear(self, batch)

pipeline.audio.segments, pipeline.inference.Listener.__call__ = killed, shot
"""
LIMIT = 300.0
"""Seconds for any one run here."""


@pytest.fixture(scope="module")
def model() -> Path:
    folder = published("lasr-ctc").folder
    letters = {"<pad>": 0, "|": 1} | {chr(97 + i): i + 2 for i in range(14)}
    (folder / "vocab.json").write_text(json.dumps(letters))
    return folder


def speak(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        samples = np.random.default_rng(number).normal(0, 0.1, 8_000 + 4_000 * number)
        soundfile.write(folder / f"{name}.flac", samples, 16_000)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speak(tmp_path_factory.mktemp("corpus"), *(f"{number:02}" for number in range(20)))


def start(corpus: Path, output: Path, model: Path, more: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    path = os.pathsep.join([*(more or {}).get("PYTHONPATH", "").split(os.pathsep), str(ROOT)]).strip(os.pathsep)
    environment = os.environ | dict(more or {}) | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", DRIVER, str(corpus), str(output), str(model)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)


def finish(run: "subprocess.Popen[str]") -> int:
    """The passes of a run that ended well."""
    said, _ = run.communicate(timeout=LIMIT)
    assert run.returncode == 0
    return int(said.split("PASSES")[1])


@pytest.fixture(scope="module")
def untroubled(corpus: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return without_engine(corpus, tmp_path_factory.mktemp("untroubled"), shard_size=2, model=model)


def kill_after(run: "subprocess.Popen[str]", output: Path, shards: int) -> bool:
    """SIGKILL the driver once so many shards are written; False where it was quicker."""
    until = time.monotonic() + LIMIT
    while len(list((output / "transcripts").glob("*.parquet"))) < shards:
        if run.poll() is not None:
            return False
        assert time.monotonic() < until
        time.sleep(0.005)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    return True


@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_a_driver_that_is_killed_again_and_again_loses_and_doubles_nothing(
    kills: int, corpus: Path, model: Path, untroubled: list[Row], tmp_path: Path
) -> None:
    chance = random.Random(kills)
    output = tmp_path / "out"
    points = sorted(chance.sample(range(1, 9), kills))
    killed = [kill_after(start(corpus, output, model), output, point) for point in points]
    assert any(killed)
    before = {path.name: path.stat().st_mtime_ns for path in (output / "transcripts").glob("*.parquet")}
    finish(start(corpus, output, model))
    assert rows(output) == untroubled
    after = {path.name: path.stat().st_mtime_ns for path in (output / "transcripts").glob("*.parquet")}
    assert {name: after[name] for name in before} == before  # what was done was not done again


@pytest.mark.slow
def test_what_kills_its_worker_is_a_row_and_its_neighbours_are_read(model: Path, tmp_path: Path) -> None:
    (tmp_path / "poison").mkdir()
    (tmp_path / "poison" / "sitecustomize.py").write_text(POISON)
    corpus = speak(tmp_path / "corpus", "a", "b-segv", "c", "d", "e-shoots", "f")
    output = tmp_path / "out"
    run = start(corpus, output, model, {"PYTHONPATH": str(tmp_path / "poison")})
    assert finish(run) <= 4
    found = {Path(str(row["uri"])).stem: row for row in rows(output)}
    assert {name: row["status"] for name, row in found.items() if row["status"] == "failed"} == {
        "b-segv": "failed",
        "e-shoots": "failed",
    }
    errors = {name: row["error"] for name, row in found.items() if row["error"]}
    assert errors["b-segv"]["class"] == errors["e-shoots"]["class"] == "Crashed"  # type: ignore[index]
    assert (errors["b-segv"]["stage"], errors["e-shoots"]["stage"]) == ("audio", "inference")  # type: ignore[index]
    clean = tmp_path / "clean"
    finish(start(corpus, clean, model))
    good = [row for row in rows(clean) if "segv" not in str(row["uri"]) and "shoots" not in str(row["uri"])]
    assert [row for row in rows(output) if row["status"] != "failed"] == good
