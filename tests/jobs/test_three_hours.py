"""A recording of three hours, in the memory that minutes take."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pyarrow.dataset
import pytest
import soundfile

from jobs.exits import FINE
from pipeline.scoring import word_edits
from tests.pipeline.test_cut_words import RATE, run_on

pytestmark = [pytest.mark.ray, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
MODEL = ROOT / "jobs" / "demo" / "checkpoints" / "lasr"
HOURS = 3
ROOM = 1500 << 20
"""Bytes that a whole run may take beside its model, the engine's processes among them."""


@contextmanager
def watched(pid: int) -> Iterator[list[int]]:
    """What a process and all below it hold that no other process shares, now and then."""
    seen, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            try:
                family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
                held = [one.memory_info() for one in family]
            except psutil.NoSuchProcess:
                continue
            seen.append(sum(one.rss - one.shared for one in held))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield seen
    over.set()
    thread.join()


def test_three_hours_are_heard_in_the_room_of_minutes(tmp_path: Path) -> None:
    samples, text = run_on(HOURS * 3600)
    soundfile.write(tmp_path / "hours.flac", samples, RATE)
    del samples
    words = ["transcribe", str(tmp_path / "hours.flac"), "-o", str(tmp_path / "out"), "-m", str(MODEL), "--json"]
    run = subprocess.Popen([sys.executable, "-m", "jobs.cli", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with watched(run.pid) as seen:
        said, _ = run.communicate(timeout=1500)
    assert run.returncode == FINE
    weights = (MODEL / "model.safetensors").stat().st_size
    assert max(seen) <= weights + ROOM
    assert json.loads(said)["counts"]["ok"] == 1
    (row,) = pyarrow.dataset.dataset(tmp_path / "out" / "transcripts").to_table().to_pylist()
    found = [word for segment in row["segments"] for word in segment["words"]]
    assert row["seconds"] == pytest.approx(soundfile.info(tmp_path / "hours.flac").duration)
    times = [time for word in found for time in (word["start"], word["end"])]
    assert times == sorted(times) and times[-1] <= row["seconds"]
    assert word_edits(text, row["text"]).rate <= 0.15
