"""`--json`: what a program reads from stdout is one document, whatever the command and however it ends."""

import json
from pathlib import Path

import pytest

from jobs.cli import app, main
from jobs.exits import FINE, UNUSABLE

HEARING = ("none", "-o", "out", "-m", "nowhere")
WRONG = {
    **dict.fromkeys(("transcribe", "label", "align", "embed", "units", "incremental"), HEARING),
    **dict.fromkeys(("score", "filter", "report", "verify", "retry", "models"), ("none",)),
    "export": ("none", "--to", "texts", "--format", "csv"),
    "doctor": ("--patience", "0"),
}
"""Words with which each command cannot do its work."""
COMMANDS = [name for name in app if not name.startswith("-")]


def test_every_command_is_tried_here() -> None:
    assert set(COMMANDS) == set(WRONG)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_json_and_a_file_of_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == FINE
    said = capsys.readouterr().out
    assert "--json" in said and "--config" in said and "--debug" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_what_cannot_be_done_is_one_document_and_the_words_are_elsewhere(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command, *WRONG[command], "--json"]) == UNUSABLE
    said = capsys.readouterr()
    problems = json.loads(said.out)["problems"]
    assert problems
    for problem in problems:
        assert f"steno: {problem}\n" in said.err
