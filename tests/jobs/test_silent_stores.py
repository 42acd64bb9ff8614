"""A store that cannot be reached, or that refuses: one clear message within seconds, whatever the command."""

import json
import os
import socket
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from jobs.cli import main
from jobs.exits import UNUSABLE
from pipeline.stores import s3

LASR = Path(__file__).parents[2] / "jobs" / "demo" / "checkpoints" / "lasr"
EVERYWHERE = ("transcribe", "s3://there/in", "-o", "s3://there/out", "-m", "s3://there/model", "--json")
"""A job whose output, input and checkpoint all lie there."""


@pytest.fixture(autouse=True, scope="module")
def loaded() -> None:
    """What the commands import takes seconds once, and no store is asked meanwhile."""
    import_module("jobs.running")


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Some that no server has seen."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(name, value)
    s3.made.cache_clear()
    yield
    s3.made.cache_clear()


@pytest.fixture
def door(credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A port of loopback that the environment calls a store."""
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{there.getsockname()[1]}")
        yield there


@pytest.fixture
def closed(door: socket.socket) -> str:
    """Nobody listens there."""
    return os.environ["AWS_ENDPOINT_URL"]


@pytest.fixture
def hanging(door: socket.socket) -> str:
    """Connections are taken there, and nothing is ever said."""
    door.listen(64)
    return os.environ["AWS_ENDPOINT_URL"]


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[list[str], float]:
    """What a command that cannot start complains of, and after how many seconds."""
    began = time.monotonic()
    assert main(words) == UNUSABLE
    took = time.monotonic() - began
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return json.loads(said.out)["problems"], took


def test_a_store_that_is_not_there_is_told_once_and_within_seconds(
    closed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    problems, took = asked(capsys, *EVERYWHERE, "--beam", "0")
    assert problems == [
        "beam is 0: it must be 1 or more",
        f"output, model, input: cannot reach {closed} to look at s3://there: is the address right, and the server up? "
        "(tried 4 times)",
    ]
    assert took < 20


def test_a_store_that_never_answers_is_given_up_within_seconds(
    hanging: str, capsys: pytest.CaptureFixture[str]
) -> None:
    problems, took = asked(capsys, *EVERYWHERE)
    assert problems == [
        f"output, model, input: {hanging} gives no answer about s3://there within 8 s: is the address right, and the "
        "server up?"
    ]
    assert took < 30


@pytest.mark.parametrize(
    "words",
    [
        ("report", "s3://there/out"),
        ("score", "s3://there/out"),
        ("filter", "s3://there/out"),
        ("export", "s3://there/out", "--to", "texts", "--format", "csv"),
        ("verify", "s3://there/out"),
        ("retry", "s3://there/out"),
        ("incremental", "s3://there/in", "-o", "s3://there/out", "-m", "s3://there/model", "--date", "2026-11-20"),
    ],
    ids=lambda words: words[0],
)
def test_so_it_is_by_every_command(words: tuple[str, ...], closed: str, capsys: pytest.CaptureFixture[str]) -> None:
    problems, _ = asked(capsys, *words, "--json")
    assert len(problems) == 1
    assert f"cannot reach {closed}" in problems[0] and "(tried 4 times)" in problems[0]


@pytest.mark.s3
@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("AWS_ACCESS_KEY_ID", "the server does not know this access key"),
        ("AWS_SECRET_ACCESS_KEY", "the secret key does not belong to the access key"),
    ],
)
def test_wrong_credentials_are_told_as_what_they_are(
    variable: str,
    said: str,
    rgw: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, "another-than-theirs")
    s3.made.cache_clear()
    words = ("transcribe", str(tmp_path / "nothing"), "-o", f"{rgw}/out", "-m", str(LASR), "--json")
    problems, _ = asked(capsys, *words)
    refused, missing = problems
    assert refused.startswith("output: ") and said in refused
    assert missing.startswith("input: ")
    assert "another-than-theirs" not in str(problems)
    problems, _ = asked(capsys, "transcribe", f"{rgw}/in", "-o", str(tmp_path / "out"), "-m", f"{rgw}/model", "--json")
    assert [problem.partition(":")[0] for problem in problems] == ["model", "input"]
    assert said in problems[1]
    assert "these credentials" in problems[0]
