"""What is said on stderr: lines for people, or an object a line for programs; never a credential."""

import json
import logging

import pytest

from jobs.cli import main
from jobs.exits import UNUSABLE
from jobs.journal import flaws, journal, progress
from jobs.options import Manner
from jobs.refusals import SetupError, refused
from pipeline.log import NOTICE, RUN, tell
from pipeline.tally import Tally

SECRET = "https://me:hunter2@host/a?X-Amz-Signature=abcdef"


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STENOPOOL_LOG", raising=False)


def events() -> None:
    """One of each kind."""
    tell("written: 3 ok", shard="s-1")
    tell(f"NotFound in sources: {SECRET}", shard="s-1", recording=SECRET, level=logging.WARNING)
    tell(f"stopped at {SECRET}", level=NOTICE)


def test_people_read_what_they_should_know_and_programs_everything(capsys: pytest.CaptureFixture[str]) -> None:
    with journal(Manner()):
        events()
    assert capsys.readouterr().err == "steno: stopped at https://host/a?X-Amz-Signature=***\n"
    token = RUN.set("run-7")
    with journal(Manner(log="json")):
        events()
    RUN.reset(token)
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [each["level"] for each in said] == ["info", "warning", "notice"]
    assert said[0].items() >= {"run": "run-7", "shard": "s-1", "message": "written: 3 ok"}.items()
    assert "recording" not in said[0]
    assert said[1]["recording"] == "https://host/a?X-Amz-Signature=***"
    assert "hunter2" not in repr(said) and "abcdef" not in repr(said)


def test_nothing_that_is_told_commands_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(SetupError(["no \x1b[2J\x1b]0;title\x07 in a.wav\nand \u202e here"]), Manner()) == UNUSABLE
    assert capsys.readouterr().err == "steno: no \\x1b[2J\\x1b]0;title\\x07 in a.wav\nand \\u202e here\n"


def test_a_journal_within_a_journal_says_things_once(capsys: pytest.CaptureFixture[str]) -> None:
    with journal(Manner()), journal(Manner()):
        tell("once", level=logging.ERROR)
    tell("nobody listens", level=logging.ERROR)
    assert capsys.readouterr().err == "steno: once\n"


def test_progress_is_events_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    manner = Manner(log="json")
    with journal(manner), progress(manner) as watch:
        for _ in range(50):
            watch(Tally(audio=3_600.0, missing=10, done=5.0))
    (event,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert "50%" in event["message"] and "1 h 00 min of audio" in event["message"]


def test_the_environment_decides_where_nothing_is_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STENOPOOL_LOG", "json")
    assert main(["transcribe", "nowhere", "-o", "ftp://x", "-m", "nowhere"]) == UNUSABLE
    levels = {json.loads(line)["level"] for line in capsys.readouterr().err.splitlines()}
    assert levels == {"step", "error"}
    assert main(["transcribe", "nowhere", "-o", "ftp://x", "-m", "nowhere", "--log", "plain"]) == UNUSABLE
    assert all(line.startswith("steno: ") for line in capsys.readouterr().err.splitlines())
    monkeypatch.setenv("STENOPOOL_LOG", "yaml")
    assert list(flaws(Manner())) == ["STENOPOOL_LOG is 'yaml': it must be plain or json"]
    assert list(flaws(Manner(log="xml"))) == ["log is 'xml': it must be plain or json"]
    assert main(["transcribe", "nowhere", "-o", "ftp://x", "-m", "nowhere", "--log", "xml", "--json"]) == UNUSABLE
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [problem.partition(" ")[0] for problem in problems] == ["log", "output:", "model:", "input:"]
