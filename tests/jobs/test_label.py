"""`steno label`: the trained keyword classifier on the demo's keywords, and what is refused before anything starts."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.dataset
import pytest
import soundfile

from jobs import Label, SetupError, label
from jobs.cli import main
from jobs.demo.recordings import heard
from jobs.exits import FINE, UNUSABLE

DEMO = Path(__file__).parents[2] / "jobs" / "demo"
KEYWORDS, CLASSIFIER, SPELLER = DEMO / "corpus" / "keywords", DEMO / "checkpoints/keywords", DEMO / "checkpoints/lasr"
Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Typed:
    """`steno label` in this process: exit code, and all that it says."""

    def run(*words: object) -> tuple[int, str]:
        code = main(["label", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.mark.ray
def test_keywords_are_labelled_right_and_windows_say_where_they_are(typed: Typed, tmp_path: Path) -> None:
    """One of the inputs is a row of keywords, in slots of 2 s that windows are laid over."""
    said = [path.stem.split("-")[1] for path in sorted(KEYWORDS.iterdir())]
    clips = [heard(path.read_bytes())[0] for path in sorted(KEYWORDS.iterdir())[:4]]
    slots = [np.pad(clip, (0, 32_000 - len(clip))) for clip in clips]
    (tmp_path / "row").mkdir()
    soundfile.write(tmp_path / "row" / "row.wav", np.concatenate(slots), 16_000)
    asked = (KEYWORDS, tmp_path / "row", "-o", tmp_path / "out", "-m", CLASSIFIER, "--cpus", 2, "--top", 3)
    code, told = typed(*asked, "--window-seconds", 2)
    assert code == FINE, told
    assert "north 1.00, " in told, "the summary shows labels where there is no text"
    rows = pyarrow.dataset.dataset(tmp_path / "out" / "transcripts").to_table().to_pylist()
    singles = sorted((row for row in rows if "row" not in row["recording_id"]), key=lambda row: row["recording_id"])
    assert [row["labels"][0]["label"] for row in singles] == said
    assert all(len(row["labels"]) == 3 and row["text"] is None for row in rows)
    assert all(row["labels"][0]["score"] > 0.5 for row in singles)
    (row,) = [row for row in rows if "row" in row["recording_id"]]
    assert [(s["start"], s["end"], s["labels"][0]["label"]) for s in row["segments"]] == [
        (2.0 * slot, 2.0 * slot + 2, said[slot]) for slot in range(4)
    ]
    assert main(["verify", str(tmp_path / "out")]) == FINE
    assert typed(*asked, "--window-seconds", 2)[0] == FINE, "the same again finds nothing to do"
    code, told = typed(*asked)
    assert code == UNUSABLE
    assert "option window_seconds: 2.0 there, not set here" in told


def test_all_that_is_wrong_is_told_before_anything_starts(typed: Typed, tmp_path: Path) -> None:
    code, told = typed(
        KEYWORDS, "-o", tmp_path / "out", "-m", SPELLER, "--top", 0, "--window-seconds", 1, "--hop-seconds", 2
    )
    assert code == UNUSABLE
    steps = ("steno: looking ", "steno: reading ")
    lines = [line for line in told.splitlines() if line.startswith("steno: ") and not line.startswith(steps)]
    assert len(lines) == 3, told
    assert "top is 0: it must be 1 or more" in lines[0]
    assert "hop_seconds is 2.0: it must be 0.05 or more, and window_seconds (1.0) at most" in lines[1]
    assert "a LasrForCTC gives no labels: a checkpoint with a classification head does" in lines[2]


def test_a_hop_needs_a_window(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="hop_seconds is for windows"):
        label(Label((str(KEYWORDS),), str(tmp_path / "out"), str(CLASSIFIER), hop_seconds=1.0))


def test_a_dry_run_plans_and_help_teaches(typed: Typed, tmp_path: Path) -> None:
    code, told = typed(KEYWORDS, "-o", tmp_path / "out", "-m", CLASSIFIER, "--dry-run", "--json")
    document, _ = json.JSONDecoder().raw_decode(told)  # what it was at while it looked comes after
    assert (code, document["planned"]["rows"]) == (FINE, 28)
    code, told = typed("--help")
    assert code == FINE
    assert "--window-seconds" in told and "--hop-seconds" in told and "--top" in told
