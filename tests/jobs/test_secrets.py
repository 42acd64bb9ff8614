"""Credentials planted wherever a user may have some, and looked for in everything that a run leaves behind."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow.dataset
import pytest
import soundfile

from jobs import running
from jobs.checks.engine import engine
from jobs.cli import main
from jobs.demo.__main__ import MODEL
from jobs.exits import BROKEN, FAILED_ROWS, UNFINISHED, UNUSABLE
from pipeline.output import add_generation
from pipeline.plan import plan
from pipeline.planfile import write_plan
from pipeline.storage import Store
from pipeline.stores import s3

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parents[2]
BIRD = b"canary"
SIGNED = "X-Amz-Credential=AKIACANARY0000000001%2F2026&X-Amz-Security-Token=CanaryA&X-Amz-Signature=canaryb"
ADDRESSES = (
    f"https://bucket.example/a.wav?{SIGNED}",
    "https://canaryuser:canarypassword@store.example/b.wav",
    "https://hf_CanaryCanaryCanary@hub.example/c.wav?token=canaryc",
    "s3://AKIACANARY0000000002:canarysecret@bucket/d.wav",
    "az://container/e.wav?sv=2026&sig=canaryd%3D&se=2027",
    "curl -H 'Authorization: Bearer canarytokencanary' https://store.example/f.wav |",
)
SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIACANARY0000000003",
    "AWS_SECRET_ACCESS_KEY": "canarysecret/of+the/environment",
    "AWS_SESSION_TOKEN": "canarysession//token+of==",
    "HF_TOKEN": "hf_CanaryOfTheEnvironment",
}
NOWHERE = "http://canaryuser:canarypassword@127.0.0.1:9"
"""An endpoint where nobody answers, with credentials in its address."""


@pytest.fixture
def engine_logs() -> Iterator[Path]:
    """Where the engine writes: its sockets want a short name."""
    folder = Path(tempfile.mkdtemp(prefix="sp", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def environment(engine_logs: Path) -> dict[str, str]:
    quick = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": os.devnull, "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **SECRETS, **quick, "AWS_ENDPOINT_URL": NOWHERE, "RAY_TMPDIR": str(engine_logs)}


def steno(environment: dict[str, str], *words: object) -> tuple[int, str, str]:
    """Run the command line; its exit code, and what it says."""
    asked = [sys.executable, "-m", "jobs.cli", *map(str, words), "--log", "json", "--debug", "--json"]
    ran = subprocess.run(asked, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert BIRD not in ran.stdout.lower().encode(), ran.stdout
    assert BIRD not in ran.stderr.lower().encode(), ran.stderr
    return ran.returncode, ran.stdout, ran.stderr


def clean(folder: Path) -> int:
    """Look through every file below; how many there are."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in files if BIRD in path.read_bytes().lower()]
    return len(files)


def tone(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(7).normal(0, 0.1, 16_000), 16_000)


def spoiled(folder: Path) -> list[Path]:
    """Inputs that name addresses with credentials, as what to read and as columns that are carried along."""
    tone(folder / "good.wav")
    lines = [{"audio_filepath": "good.wav", "source": address, "note": ADDRESSES[0]} for address in ADDRESSES]
    lines += [{"audio_filepath": address, "text": "x"} for address in ADDRESSES]
    (folder / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "kaldi").mkdir()
    scp = [f"utt{number} {address}" for number, address in enumerate(ADDRESSES)]
    (folder / "kaldi" / "wav.scp").write_text("\n".join(scp) + "\n")
    return [folder / "m.jsonl", folder / "kaldi"]


def test_no_secret_of_an_input_is_left_in_plan_rows_record_or_logs(
    environment: dict[str, str], engine_logs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code, _, said = steno(
        environment, "transcribe", *spoiled(tmp_path / "in"), "-o", out, "-m", MODEL, "--cpus", 2, "--price", "cpu=1"
    )
    assert code == FAILED_ROWS, said
    rows = pyarrow.dataset.dataset(out / "transcripts").to_table().to_pylist()
    assert len(rows) == 3 * len(ADDRESSES)
    assert sum(row["status"] == "failed" for row in rows) == 2 * len(ADDRESSES)
    for path in out.rglob("*.parquet"):  # decompressed
        text = repr(pyarrow.dataset.dataset(path).to_table().to_pylist()).lower()
        assert BIRD.decode() not in text
    assert clean(out) >= 4
    assert clean(engine_logs) > 5
    events = [json.loads(line) for line in said.splitlines()]
    failed = [event for event in events if event["level"] == "warning"]
    assert len(failed) == 2 * len(ADDRESSES)
    assert all(event["run"] and event["shard"] and event["recording"] for event in failed)
    assert {event["run"] for event in events if "run" in event} == {rows[0]["run_id"]}


@pytest.mark.parametrize("wrong", ["input", "output", "model"])
@pytest.mark.parametrize("address", [*ADDRESSES[:5], "s3://bucket/nobody-there"])
def test_no_secret_is_repeated_where_a_job_cannot_start(
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    wrong: str,
    address: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    s3.made.cache_clear()
    tone(tmp_path / "in" / "good.wav")
    places = {"input": tmp_path / "in", "output": tmp_path / "out", "model": MODEL} | {wrong: address}
    words = ["transcribe", places["input"], "-o", places["output"], "-m", places["model"], "--debug", "--json"]
    assert main([str(word) for word in words]) == (UNFINISHED if "nobody-there" in address else UNUSABLE)
    s3.made.cache_clear()
    said = capsys.readouterr()
    assert json.loads(said.out)["problems"]
    assert BIRD not in (said.out + said.err).lower().encode()
    clean(tmp_path)


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_secret_is_repeated_by_a_fault_of_the_program_by_its_settings_or_by_the_doctor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    def broken(*_: object) -> NoReturn:
        raise ZeroDivisionError(f"at {address}")

    assert main(["transcribe", "--config", address]) == UNUSABLE
    assert [finding.verdict for finding in engine(f"https://{address}", 20.0)] == ["problem"]
    with monkeypatch.context() as fault:
        fault.setattr(running, "run", broken)
        assert main(["transcribe", "in", "-o", "out", "-m", "model"]) == BROKEN
    said = capsys.readouterr()
    assert "ZeroDivisionError: at " in said.err
    told = [finding.said + finding.about for finding in engine(f"https://{address}", 20.0)]
    assert BIRD not in re.sub(r"[\s│]", "", said.out + said.err + "".join(told)).lower().encode()


def test_no_secret_is_told_when_storage_fails_in_the_middle(
    environment: dict[str, str], engine_logs: Path, tmp_path: Path, moto_s3: str
) -> None:
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros(16_000), 16_000, format="WAV")
    Store(moto_s3).put("a.wav", sound.getvalue())
    planned = io.BytesIO()
    write_plan(plan([moto_s3]), planned)
    out = tmp_path / "out"
    add_generation(Store(str(out)), 1, planned.getvalue())
    tone(tmp_path / "in" / "good.wav")  # a silent store that is named would be told before the start
    code, _, said = steno(environment, "transcribe", tmp_path / "in", "-o", out, "-m", MODEL, "--cpus", 2)
    assert code == UNFINISHED, said
    assert "(tried 7 times)" in said, "the storage was there after all"
    clean(out)
    assert clean(engine_logs) > 5
