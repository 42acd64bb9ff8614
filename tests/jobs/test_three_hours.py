"""A recording of three hours, in the memory that minutes take."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.dataset
import pytest
import soundfile

from jobs.exits import FINE
from pipeline.scoring import word_edits
from tests.memory import watched
from tests.pipeline.test_cut_words import RATE, run_on

pytestmark = [pytest.mark.ray, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
MODEL = ROOT / "jobs" / "demo" / "checkpoints" / "lasr"
HOURS = 3
ROOM = 1500 << 20
"""Bytes that a whole run may take beside its models, the engine's processes among them."""
EACH = 500 << 20
"""Bytes that a model's process may take beside its weights, torch among them."""


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
    models = [{name: held for name, held in look.items() if "Listener" in name} for look in seen]
    assert max(len(look) for look in models) >= 1
    assert max(held for look in models for held in look.values()) <= weights + EACH
    assert max(sum(look.values()) - sum(there.values()) for look, there in zip(seen, models, strict=True)) <= ROOM
    assert json.loads(said)["counts"]["ok"] == 1
    (row,) = pyarrow.dataset.dataset(tmp_path / "out" / "transcripts").to_table().to_pylist()
    found = [word for segment in row["segments"] for word in segment["words"]]
    assert row["seconds"] == pytest.approx(soundfile.info(tmp_path / "hours.flac").duration)
    times = [time for word in found for time in (word["start"], word["end"])]
    assert times == sorted(times) and times[-1] <= row["seconds"]
    assert word_edits(text, row["text"]).rate <= 0.15
