"""README shows what `make demo` prints: as the code prints it today, and as the checkpoint reads today."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

import pytest

from jobs.cli import app
from jobs.demo.__main__ import CORPUS, FORMS, MODEL, errors
from jobs.demo.recordings import heard, stored
from jobs.demo.truth import read_truth
from jobs.exits import FINE
from jobs.pasting import one_liner
from jobs.summary import shortened
from models import load_model
from models.transcript import Transcript
from pipeline.scoring import word_edits

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN = README.partition("```\n$ make demo\n")[2].partition("```\n")[0].splitlines()
FIRST_RUN, SECOND_RUN = 180.0, 30.0
"""Seconds, once the packages are in."""
VOLATILE = re.compile(r"of audio|report\.html|/runs/|Models heard")
"""Lines whose figures are another run's on another machine."""


def below(head: str) -> list[list[str]]:
    """The cells of the lines under a table's head, columns two spaces apart."""
    start = next(number for number, line in enumerate(SHOWN) if line.split() == head.split())
    lines = takewhile(bool, SHOWN[start + 1 :])
    return [re.split(r" {2,}", line.strip()) for line in lines]


def bare(line: str) -> str:
    """Without what is of one run, one machine and one installation."""
    line = re.sub(r"\S*bin/(python|steno)\S*", r"\1", re.sub(r"^(steno: |[█░#-]+ (?=100%))", "", line).rstrip())
    if not VOLATILE.search(line):
        return line
    line = re.sub(r"\d{8}T\d{6}Z-\w{6}", "RUN", line)
    return re.sub(r"\d[\d,.]*", "0", re.sub(r"(\d+ min )?\d+ s\b", "TIME", line))


def test_the_corpus_is_told_as_it_is() -> None:
    assert SHOWN[: len(FORMS) + 1] == ["The corpus:", *(f"  {form:9} {what}" for form, what in FORMS.items())]


def test_the_command_is_one_that_steno_knows() -> None:
    (typed,) = (line for line in SHOWN if line.startswith("$ "))
    app.parse_args(typed.partition("steno ")[2], exit_on_error=False, print_error=False)
    inputs = [word for word in typed.split() if word.startswith("jobs/demo/corpus/")]
    assert inputs == [f"jobs/demo/corpus/{form}" for form in FORMS]


def test_the_figures_are_of_this_corpus_and_add_up() -> None:
    """Recordings and words by counting them; the checkpoint's errors only as far as arithmetic goes."""
    said = [
        {"recording_id": truth.id, "channel": truth.channel, "uri": f"/{truth.file}", "status": "ok",
         "reference": truth.text, "text": truth.text}
        for truth in read_truth(CORPUS)
        if truth.file.partition("/")[0] in FORMS
    ]  # fmt: skip
    head, *counted = errors(said).splitlines()
    found = below(head)
    assert [cells[:3] for cells in found] == [re.split(r" {2,}", line)[:3] for line in counted]
    for cells in found:
        words, *wrong = map(int, cells[2:6])
        assert cells[6] == f"{100 * sum(wrong) / words:.1f}%", cells
    *forms, every = ([int(cell) for cell in cells[1:6]] for cells in found)
    assert every == [sum(column) for column in zip(*forms, strict=True)]


def test_the_transcripts_are_what_the_checkpoint_reads() -> None:
    said = {truth.id: truth for truth in read_truth(CORPUS)}
    shown = [[*cells[:3], "", cells[3]] for cells in below("recording from s to s text")]
    model, heard_of = load_model(MODEL), 0
    for name, start, end, rate, text in [*shown, *below("recording from s to s error rate text")]:
        if (truth := said.get(name.partition(" #")[0])) and truth.kind != "long":
            (read,) = model.transcribe([heard(stored(CORPUS, truth))[0]])
            assert isinstance(read, Transcript)
            assert shortened(read.text) == text
            times = read.words[0].start / model.sample_rate, read.words[-1].end / model.sample_rate
            assert times == pytest.approx((float(start), float(end)), abs=0.1)
            assert rate in {"", f"{100 * word_edits(truth.text, read.text).rate:.1f}%"}
            heard_of += 1
    assert heard_of > 5


def test_the_line_that_reads_the_table_is_the_one_that_is_printed() -> None:
    assert bare(f"  {one_liner('demo-output', 'text')}") in map(bare, SHOWN)


def said(lines: Sequence[str]) -> list[str]:
    """What a run tells, without its steps and all of its progress but the last, however that is drawn."""
    last = max(number for number, line in enumerate(lines) if "100% |" in line)
    told = [line for number, line in enumerate(lines) if number == last or not line.startswith("steno: ")]
    return [bare(line) for line in told if line.strip()]


def demo(folder: Path) -> tuple[list[str], float]:
    """What it prints in a folder, and the seconds that it takes."""
    started = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-m", "jobs.demo"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{folder}:{ROOT}", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == FINE, ran.stdout
    return ran.stdout.splitlines(), time.monotonic() - started


@pytest.mark.slow
@pytest.mark.ray
def test_readme_shows_what_the_demo_prints_and_how_soon(tmp_path: Path) -> None:
    """A second run finds everything done."""
    (tmp_path / "jobs").symlink_to(ROOT / "jobs")
    printed, seconds = demo(tmp_path)
    assert said(SHOWN) == said(printed)
    assert seconds < FIRST_RUN
    printed, seconds = demo(tmp_path)
    assert "Nothing was left to do." in printed
    assert seconds < SECOND_RUN
