"""README's commands: each is one that `steno` knows, and runs, one after the other, as it stands."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import boto3
import pytest

from jobs.cli import app
from jobs.demo.truth import read_truth
from jobs.exits import FAILED_ROWS, FINE
from pipeline.storage import Store
from tests.readme import README, ROOT, blocks, commands, lines, section

CORPUS, CHECKPOINTS = ROOT / "jobs" / "demo" / "corpus", ROOT / "jobs" / "demo" / "checkpoints"
SPOKEN = ("flac-00.flac", "flac-01.flac", "opus-00.opus")
COSTS = "### What it does, and what it costs"
CLUSTER = section("## On a cluster").replace(section(COSTS), "")
IN_BUCKETS = [words for words in commands(README) if any("s3://" in word for word in words)]
HERE = [
    [words for words in commands(section(title)) if words not in IN_BUCKETS] for title in ("## The command line", COSTS)
]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where everything lies that README speaks of."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    for name in SPOKEN:
        shutil.copy(CORPUS / "loose" / name, folder / name)
    (folder / "letter.flac").write_text("Dear reader, this is no audio.")
    (tmp_path / "path" / "to").mkdir(parents=True)
    (tmp_path / "path" / "to" / "checkpoint").symlink_to(CHECKPOINTS / "lasr")
    (tmp_path / "path" / "to" / "classifier").symlink_to(CHECKPOINTS / "keywords")
    texts = {truth.id.rpartition("/")[2]: truth.text for truth in read_truth(CORPUS)}
    told = [{"audio_filepath": f"recordings/{name}", "text": texts[name]} for name in SPOKEN]
    (tmp_path / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    rows = [f"recordings/{name}\t{texts[name]}" for name in SPOKEN]
    (tmp_path / "truth.tsv").write_text("\n".join(["recording_id\ttext", *rows]) + "\n")
    job = {"inputs": ["recordings/"], "output": "searched/", "model": "path/to/checkpoint", "cpus": 2}
    (tmp_path / "job.yaml").write_text(json.dumps(job))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bucket(workplace: Path, moto_s3: str) -> str:
    """README's bucket with two recordings, beside a tar of one in a folder here."""
    client = boto3.client("s3")
    client.create_bucket(Bucket="bucket")
    for name in SPOKEN[:2]:
        client.upload_file(str(workplace / "recordings" / name), "bucket", f"audio/{name}")
    (workplace / "more").mkdir()
    with tarfile.open(workplace / "more" / "one.tar", "w") as tar:
        tar.add(workplace / "recordings" / SPOKEN[2], SPOKEN[2])
    return "s3://bucket"


def steno(words: Sequence[str]) -> None:
    """Run a command as a person would."""
    ran = subprocess.run(
        [sys.executable, "-m", "jobs.cli", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode in {FINE, FAILED_ROWS}, f"steno {shlex.join(words)}\n{ran.stdout}\n{ran.stderr}"
    assert ran.stdout.strip(), f"steno {shlex.join(words)} says nothing"


def test_every_command_is_one_that_steno_knows(workplace: Path) -> None:
    found = commands(README)
    assert len(found) > 20
    for words in found:
        app.parse_args(words, exit_on_error=False, print_error=False)


def test_every_command_is_run_by_a_test() -> None:
    """Here, in `test_readme_demo.py` and in `infra/test_local_cluster.py`; what needs keys is not typed there."""
    run = [words for part in (*HERE, IN_BUCKETS) for words in part]
    elsewhere = [*lines(README.partition("\n## ")[0]), *lines(CLUSTER)]
    for line in lines(README):
        if line not in elsewhere and not line.startswith("$ export AWS_"):
            assert [words for words in commands(line) if words in run], f"nothing runs {line}"


@pytest.mark.slow
@pytest.mark.ray
def test_the_commands_of_the_command_line_run_one_after_the_other(workplace: Path) -> None:
    local, _ = HERE
    assert len(local) > 14
    for words in local:
        steno(words)
    assert (workplace / "texts").is_dir()
    assert (workplace / "scores.csv").is_file()
    assert (workplace / "out" / "flagged").is_dir()


@pytest.mark.slow
@pytest.mark.ray
def test_the_jobs_run_in_python_as_they_stand(workplace: Path) -> None:
    (program,) = [block for block in blocks(README, "python") if "from jobs" in block]
    (workplace / "job.py").write_text(f"{program}assert verdict.whole, verdict.problems\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "job.py"], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("{'ok': 3, 'empty': 0, 'skipped': 0, 'failed': 1} ")
    assert len(list((workplace / "heard-texts" / "srt").rglob("*.srt"))) == 3


@pytest.mark.slow
@pytest.mark.ray
def test_what_foretells_costs_and_what_is_watched_run(workplace: Path) -> None:
    _, (foretelling, watched) = HERE
    steno(foretelling)
    assert not (workplace / "out" / "transcripts").exists()
    steno(watched)
    assert list((workplace / "out" / "transcripts").glob("*.parquet"))


@pytest.mark.slow
@pytest.mark.ray
def test_the_commands_that_speak_of_a_bucket_run_on_one(bucket: str) -> None:
    assert len(IN_BUCKETS) > 2
    for words in IN_BUCKETS:
        steno(words)
    assert Store(f"{bucket}/table").names("transcripts/")
