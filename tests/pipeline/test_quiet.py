"""What the engine says stays off the screen, and off what programs read."""

import sys

import pytest
from ray._private import worker

from pipeline.quiet import quiet


def said_aloud(data: dict[str, list[str]], ignore_prefix: bool) -> None:  # as the engine calls it
    sys.stdout.write(" ".join(data["lines"]))


def test_a_worker_that_died_is_not_told_on_stdout(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "print_to_stdstream", said_aloud)
    died = {"lines": ["A worker died"], "pid": "raylet", "is_err": False, "ip": "127.0.0.1", "job": None}
    worker.print_to_stdstream(died, ignore_prefix=False)
    assert "A worker died" in capsys.readouterr().out
    quiet()
    worker.print_to_stdstream(died, ignore_prefix=False)
    assert capsys.readouterr().out == ""
