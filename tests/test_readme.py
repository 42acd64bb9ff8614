"""README's commands: each is one that `steno` knows, and those of a section run, one after the other, as they stand."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.cli import app
from jobs.demo.truth import read_truth
from jobs.exits import FAILED_ROWS, FINE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CORPUS, CHECKPOINTS = ROOT / "jobs" / "demo" / "corpus", ROOT / "jobs" / "demo" / "checkpoints"
SPOKEN = ("flac-00.flac", "flac-01.flac", "opus-00.opus")


def commands(text: str) -> list[list[str]]:
    """The words of every line that calls `steno`, without what a comment says."""
    lines = re.findall(r"^\$ (?:\.venv/bin/)?steno (.*)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def section(title: str) -> str:
    """A section of README, to the next of its rank."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


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


def test_every_command_is_one_that_steno_knows(workplace: Path) -> None:
    found = commands(README)
    assert len(found) > 20
    for words in found:
        app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.slow
@pytest.mark.ray
def test_the_commands_of_the_command_line_run_one_after_the_other(workplace: Path) -> None:
    local = [words for words in commands(section("The command line")) if not any("s3://" in word for word in words)]
    assert len(local) > 14
    for words in local:
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
    assert (workplace / "texts").is_dir()
    assert (workplace / "scores.csv").is_file()
    assert (workplace / "out" / "flagged").is_dir()
