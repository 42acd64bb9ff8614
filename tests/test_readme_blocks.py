"""README's code and names: its SQL and Python run from its own text, and what it names is there."""

import re
import runpy
import subprocess
import sys
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import soundfile

from jobs.demo.grammar import training_sentences
from jobs.demo.language import write_language_model
from pipeline.schema import TRANSCRIPT
from tests.jobs.rows_of import words, write_rows
from tests.readme import README, ROOT, blocks, section

FOLDERS = ("infra/", "jobs/", "models/", "pipeline/", "tests/", "inputs/")
QUOTED = [span for line in README.splitlines() for span in re.findall(r"`([^`\n]+)`", line)]
CHECKPOINTS = ROOT / "jobs" / "demo" / "checkpoints"
TYPES = {
    "string": pa.types.is_string,
    "int32": pa.types.is_int32,
    "float": pa.types.is_float32,
    "double": pa.types.is_float64,
    "struct": pa.types.is_struct,
}


def test_a_table_is_read_as_readme_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, newest = blocks(README, "sql")
    said = {"recording_id": "call", "segments": words(("hello", 0.5, 1.0))}
    write_rows(tmp_path / "table", {"000001-000000-x": [said], "000002-000000-x": [said]})
    monkeypatch.chdir(tmp_path)
    found = duckdb.sql(read).arrow().read_all().to_pylist()
    assert [row["text"] for row in found] == ["hello", "hello"]
    assert {word["word"] for row in found for word in next(v for v in row.values() if isinstance(v, list))} == {"hello"}
    (row,) = duckdb.sql(newest).arrow().read_all().to_pylist()
    assert row["filename"].endswith("000002-000000-x.parquet")


def test_readme_holds_every_column_and_its_type() -> None:
    lines = section("## Transcribing a corpus").partition("| column | type | holds |")[2].splitlines()[2:]
    told = dict(column for line in lines if line.startswith("|") for column in _columns(*line.split("|")[1:3]))
    assert set(told) == set(TRANSCRIPT.names)
    for field in TRANSCRIPT:
        listed = told[field.name].startswith("list of ")
        assert pa.types.is_list(field.type) == listed, field
        assert TYPES[told[field.name].removeprefix("list of ")](field.type.value_type if listed else field.type), field


def _columns(names: str, kinds: str) -> list[tuple[str, str]]:
    """Of one line, whose type stands once for all of them, or once for each."""
    each, types = re.findall(r"`(\w+)`", names), kinds.strip().split(", ")
    return list(zip(each, types * len(each) if len(types) == 1 else types, strict=True))


def test_the_python_of_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples, rate = soundfile.read(ROOT / "jobs/demo/corpus/loose/flac-00.flac", dtype="float32")
    soundfile.write(tmp_path / "speech.flac", samples, rate)
    np.save(tmp_path / "clip.npy", samples)
    write_language_model(islice(training_sentences(0), 500), tmp_path / "words.arpa")
    monkeypatch.chdir(tmp_path)
    parts = [block for block in blocks(README, "python") if "from jobs" not in block]
    program = "import numpy\nclips = [numpy.load('clip.npy')] * 2\n" + "\n".join(parts)
    hub = re.findall(r"\"(hf://\S+)\"", program)
    assert len(hub) == 1
    (tmp_path / "readme.py").write_text(program.replace(hub[0], str(CHECKPOINTS / "hubert")))
    left = runpy.run_path(str(tmp_path / "readme.py"))
    assert left["out"].logits.shape[0] == len(left["predictions"]) == 2
    assert left["transcripts"][0].text.split()[0] == left["model"].transcribe([samples])[0].text.split()[0]


def test_files_that_are_named_are_there() -> None:
    named = {word for span in QUOTED for word in span.split() if word.startswith(FOLDERS)}
    assert len(named) > 40
    for name in named:
        places = [*ROOT.glob(name.rstrip("/")), *ROOT.glob(f"pipeline/{name}")]
        assert places, name


def test_files_that_are_named_without_their_folder_are_there() -> None:
    reading, promises = section("## Reading the code"), section("## What is promised, and how it is tested")
    bare = re.findall(r"`(\w+\.py)`", reading + promises)
    assert len(bare) > 15
    for name in bare:
        assert list(ROOT.glob(f"*/{name}")) or list(ROOT.glob(f"*/*/{name}")), name


def test_modules_that_are_run_can_be() -> None:
    modules = set(re.findall(r"python -m ([\w.]+)", README))
    assert len(modules) > 5
    for name in modules:
        spec = find_spec(name) or pytest.fail(f"no module {name}")
        spec = find_spec(f"{name}.__main__") if spec.submodule_search_locations else spec
        assert spec is not None and spec.origin is not None, name
        assert "__main__" in Path(spec.origin).read_text(), name


def test_what_make_is_asked_for_it_makes() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = set(re.findall(r"^(?:\$ )?make (\w+)|`make (\w+)", README, re.MULTILINE))
    assert {"demo", "test", "bench"} <= {first or second for first, second in asked} <= targets


PYTESTS = [span.split()[1:] for span in QUOTED if span.startswith(".venv/bin/pytest ")]


@pytest.mark.slow
@pytest.mark.parametrize("words", PYTESTS, ids=lambda words: words[-1])
def test_what_pytest_is_asked_for_it_finds(words: list[str]) -> None:
    asked = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *words]
    ran = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 0, ran.stdout
    for path in [word for word in words if word.endswith(".py")]:
        assert path in ran.stdout, f"{path} has no such tests"
