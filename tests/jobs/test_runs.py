"""`steno transcribe` as a process on a real local engine: its exit codes, and what is left after an interruption."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.dataset
import pytest
import soundfile

from jobs.cli import main
from jobs.exits import FAILED_ROWS, FINE, HELD, INTERRUPTED
from pipeline.lease import Lease
from pipeline.storage import Store
from tests.checkpoints import write_small_speller
from tests.clips import make_clips

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parents[2]
CLIP = make_clips(16_000, seed=0).good[0]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_speller(tmp_path_factory.mktemp("model"))


def sounds(folder: Path, number: int, seconds: float) -> Path:
    """Recordings of noise."""
    folder.mkdir()
    noise = np.random.default_rng(7)
    for name in range(number):
        soundfile.write(folder / f"{name:03}.wav", noise.normal(0, 0.1, int(16_000 * seconds)), 16_000)
    return folder


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "jobs.cli", *map(str, words)]


def test_failed_rows_have_an_exit_code_and_nothing_but_the_job_is_on_the_screen(model: Path, tmp_path: Path) -> None:
    corpus = sounds(tmp_path / "corpus", 3, seconds=1.0)
    (corpus / "letter.flac").write_text("Dear reader, this is no audio.")
    asked = command("transcribe", corpus, "-o", tmp_path / "out", "-m", model, "--json", "--cpus", 2)
    ran = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert ran.returncode == FAILED_ROWS, ran.stderr
    said = json.loads(ran.stdout)
    assert said["counts"]["failed"] == said["table"]["counts"]["failed"] == 1
    assert sum(said["counts"].values()) == 4
    (failure,) = said["table"]["failures"]
    assert failure["recording_id"] == "corpus/letter.flac"
    assert all(line.startswith("steno: ") for line in ran.stderr.splitlines()), ran.stderr
    assert main(["verify", str(tmp_path / "out")]) == FINE


@pytest.mark.parametrize("sign", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_polite_stop_ends_in_order_and_the_same_command_goes_on(
    sign: signal.Signals, model: Path, tmp_path: Path
) -> None:
    corpus, out = sounds(tmp_path / "corpus", 60, seconds=8.0), tmp_path / "out"
    asked = command("transcribe", corpus, "-o", out, "-m", model, "--shard-size", 4, "--window", 4, "--cpus", 2)
    first = subprocess.Popen(asked, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while first.poll() is None and not list(out.glob("transcripts/*.parquet")) and time.monotonic() < until:
        time.sleep(0.05)
    first.send_signal(sign)
    _, said = first.communicate(timeout=60)
    assert first.returncode == INTERRUPTED, said
    (record,) = (json.loads(path.read_text()) for path in out.glob("runs/*.json"))
    assert (record["ended"], record["exit_code"]) == ("interrupted", INTERRUPTED)
    assert f"What is in {out} stands; the same command goes on from there." in said
    assert "Traceback" not in said
    assert json.loads((out / "lease.json").read_text())["released"]
    stood = {path: path.stat().st_mtime_ns for path in out.glob("transcripts/*.parquet")}
    assert 0 < len(stood) < 15
    again = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert again.returncode == FINE, again.stderr
    assert stood.items() <= {path: path.stat().st_mtime_ns for path in out.glob("transcripts/*.parquet")}.items()
    assert pyarrow.dataset.dataset(out / "transcripts").count_rows() == 60
    assert main(["verify", str(out)]) == FINE


def test_another_writer_has_an_exit_code_of_its_own(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, out = sounds(tmp_path / "corpus", 1, seconds=1.0), tmp_path / "out"
    with Lease(Store(str(out)), "the-other", beat=0.5, expiry=60):
        assert main(["transcribe", str(corpus), "-o", str(out), "-m", str(model)]) == HELD
    said = capsys.readouterr().err
    assert "another run is writing" in said and "the-other" in said
    assert "Traceback" not in said
