"""A place that cannot be written is told by every command that writes beside an output, before it begins to work."""

import os
from pathlib import Path

import pytest

from jobs.cli import main
from jobs.exits import FINE, UNUSABLE
from tests.jobs.finished import spoken, write_output

WRITING = {
    "score": ("to/scores.parquet",),
    "filter": ("to",),
    "export": ("to", "--format", "csv"),
    "report": ("to/page.html",),
}
WORK = ("jobs.scoring._scored", "jobs.filtering.by_shard", "jobs.exporting._files", "jobs.reporting.survey")


@pytest.fixture
def output(tmp_path: Path) -> str:
    return write_output(tmp_path / "out", [[spoken("a", "one two", reference="one two")]])


@pytest.mark.parametrize("command", WRITING)
def test_what_cannot_be_written_is_told_before_the_work(
    command: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in WORK:
        monkeypatch.setattr(name, lambda *_: pytest.fail("it began to work"))
    (tmp_path / "to").write_text("in the way")
    place, *more = WRITING[command]
    assert main([command, output, "--to", str(tmp_path / place), *more]) == UNUSABLE
    said = capsys.readouterr().err
    assert said.startswith(f"steno: to: {tmp_path}/to: ") and said.count("\n") == 1


@pytest.mark.parametrize("command", WRITING)
def test_nothing_is_left_of_the_trial_nor_made_where_there_is_nothing_to_write(
    command: str, output: str, tmp_path: Path
) -> None:
    place, *more = WRITING[command]
    assert main([command, f"{tmp_path}/none", "--to", str(tmp_path / place), *more]) == UNUSABLE
    assert os.listdir(tmp_path) == ["out"]
    assert main([command, output, "--to", str(tmp_path / place), *more]) == FINE
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]
