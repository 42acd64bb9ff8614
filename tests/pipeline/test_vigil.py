"""An engine that dies under a run ends it in words."""

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import ActorDiedError

from pipeline import vigil as watching
from pipeline.vigil import EngineLostError, begin, leaving, vigil
from tests.conftest import ROOT


@pytest.fixture
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What listens on this machine: the engine does."""
    listed = tmp_path / "unix"
    listed.write_text("0: 2 0 0 1 1 7 /tmp/ray/sockets/raylet\n")
    monkeypatch.setattr(watching, "SOCKETS", listed)
    monkeypatch.setattr(watching, "_socket", lambda: "/tmp/ray/sockets/raylet")  # noqa: S108
    monkeypatch.setattr(watching, "EVERY", 0.05)
    return listed


def test_an_engine_that_dies_interrupts_what_waits_for_it(sockets: Path) -> None:
    another = "0: 2 0 0 1 1 8 /tmp/ray/sockets/raylet.1\n"  # of a second node on this machine
    threading.Timer(0.3, lambda: sockets.write_text(another)).start()
    began = time.monotonic()
    with pytest.raises(EngineLostError, match="has died"), vigil():
        threading.Event().wait(30)
    assert time.monotonic() - began < 10


def test_an_engine_that_hangs_up_is_missed_at_once_and_whoever_wants_to_leave_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its library ends this process when it next touches what is not there: there may be no time for another look."""
    monkeypatch.setattr(watching, "EVERY", 30.0)
    monkeypatch.setattr(watching, "_socket", lambda: name)
    left: list[tuple[str, float]] = []
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(name := str(tmp_path / "raylet"))
        engine.listen()

        def die() -> None:
            line, _ = engine.accept()
            left.append(("dead", time.monotonic()))
            engine.close()
            line.close()

        threading.Thread(target=die).start()
        note = leaving(lambda error: left.append((str(error), time.monotonic())))
        with pytest.raises(EngineLostError, match="has died"), vigil(), note:
            threading.Event().wait(30)
    (_, died), (said, noticed) = left
    assert "the same command goes on" in said
    assert noticed - died < 5


def test_ctrl_c_is_still_ctrl_c(sockets: Path) -> None:
    with pytest.raises(KeyboardInterrupt), vigil():
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("given_up", "said"), [(ActorDiedError(), "the engine gave up"), (ExecutionTimeoutError(), "nothing has moved")]
)
def test_an_engine_that_gives_up_is_told_in_words(given_up: Exception, said: str, sockets: Path) -> None:
    with pytest.raises(EngineLostError, match=f"{said}.* the same command goes on"), vigil():
        raise given_up


STOPPED = """
import os, signal, time
from pipeline import machines

def stop(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, stop)
with machines.cluster(cpus=1):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    except KeyboardInterrupt:
        time.sleep(4)  # the engine's library gives three seconds
        print("in order")
"""


@pytest.mark.ray
def test_a_polite_end_takes_the_time_that_it_needs() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", STOPPED], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "in order\n", "")


@pytest.mark.parametrize(("said", "starts"), [("no such address", 1), ("The node timed out during startup.", 3)])
def test_an_engine_that_does_not_come_up_is_told_in_words(said: str, starts: int) -> None:
    started: list[str] = []

    def start() -> None:
        started.append(said)
        raise Exception(said)  # as the engine does

    with pytest.raises(EngineLostError, match="could not be started"):
        begin(start)
    assert len(started) == starts


def test_an_engine_that_is_late_is_started_again() -> None:
    late = iter([True, False])

    def start() -> None:
        if next(late):
            raise Exception("The current node timed out during startup. This could happen")

    begin(start)
    assert not list(late)


def test_nothing_happens_after_the_run(sockets: Path) -> None:
    with vigil():
        time.sleep(0.1)
    sockets.write_text("")
    time.sleep(0.3)
