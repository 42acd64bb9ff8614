"""`steno embed`: the demo's keywords as vectors, and what is refused before anything starts."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from jobs import work
from jobs.cli import main
from jobs.exits import FINE, INTERRUPTED, UNUSABLE
from pipeline.storage import Store

DEMO = Path(__file__).parents[2] / "jobs" / "demo"
KEYWORDS, CLASSIFIER = DEMO / "corpus" / "keywords", DEMO / "checkpoints" / "keywords"
Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Typed:
    """`steno embed` in this process: exit code, and all that it says."""

    def run(*words: object) -> tuple[int, str]:
        code = main(["embed", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.mark.ray
def test_a_word_lies_nearest_to_itself_in_another_voice(typed: Typed, tmp_path: Path) -> None:
    """The vectors of a trained model mean something; and the frames lie where the rows say."""
    out = tmp_path / "out"
    asked = (KEYWORDS, "-o", out, "-m", CLASSIFIER, "--cpus", 2, "--frames", "--layers", 1, "--frame-dtype", "float16")
    code, told = typed(*asked)
    assert code == FINE, told
    assert "numbers: " in told
    rows = pyarrow.dataset.dataset(out / "transcripts").to_table().sort_by("recording_id").to_pylist()
    vectors = np.array([row["embedding"] for row in rows])
    vectors = (vectors - vectors.mean(0)) / np.linalg.norm(vectors - vectors.mean(0), axis=1, keepdims=True)
    likeness = vectors @ vectors.T - 2 * np.eye(len(vectors))
    names = [row["recording_id"].split("-")[1] for row in rows]
    right = sum(names[near] == names[here] for here, near in enumerate(likeness.argmax(1)))
    assert right >= 0.9 * len(rows), f"{right} of {len(rows)}"
    for row in rows[:3]:
        (name,) = row["frame_files"]
        table = pq.read_table(io.BytesIO(Store(str(out)).read(name)))
        assert table.column_names == ["start", "layer_1"]
        assert 0 <= table["start"][0].as_py() < table["start"][-1].as_py() < row["seconds"]
    assert main(["verify", str(out)]) == FINE


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (("--layers", 2), "option layers"),
        (("--layers", 1, "--frame-dtype", "float16"), "option frame_dtype"),
        (("--layers", 1, "--dtype", "bfloat16"), "option dtype"),
        (("--layers", 1, "--layer", 2), "option layer"),
        (("--layers", 1, "--channels", "each"), "option channels"),
    ],
)
def test_frames_of_a_run_that_was_killed_are_never_those_of_another(
    other: tuple[object, ...], said: str, typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever decides what is in a file of frames is the output's before the first of them is written."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(work, "_run", killed)
    asked = (KEYWORDS, "-o", tmp_path / "out", "-m", CLASSIFIER, "--frames")
    assert typed(*asked, "--layers", 1)[0] == INTERRUPTED
    code, told = typed(*asked, *other)
    assert code == UNUSABLE
    assert "was written by another model or with other options" in told and said in told


def test_all_that_is_wrong_is_told_before_anything_starts(typed: Typed, tmp_path: Path) -> None:
    code, told = typed(
        *(KEYWORDS, "-o", tmp_path / "out", "-m", CLASSIFIER),
        *("--layer", 99, "--layers", 1, "--frame-dtype", "int8"),
    )
    assert code == UNUSABLE
    steps = ("steno: looking ", "steno: reading ")
    lines = [line for line in told.splitlines() if line.startswith("steno: ") and not line.startswith(steps)]
    assert len(lines) == 3, told
    assert "frame_dtype is 'int8': it must be float32 or float16" in lines[0]
    assert "add --frames" in lines[1]
    assert "layer 99 was asked for" in lines[2]
