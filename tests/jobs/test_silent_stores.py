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
from jobs.exits import UNFINISHED, UNUSABLE
from pipeline.storage import Entry, Part, StoreError
from pipeline.stores import s3
from pipeline.stores.disk import Disk
from tests.jobs.finished import spoken, write_output

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


def asked(capsys: pytest.CaptureFixture[str], *words: str, code: int = UNFINISHED) -> tuple[list[str], float]:
    """What a command that cannot start complains of, and after how many seconds."""
    began = time.monotonic()
    assert main(words) == code
    took = time.monotonic() - began
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return json.loads(said.out)["problems"], took


def test_a_store_that_is_not_there_is_told_once_and_within_seconds(
    closed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    problems, took = asked(capsys, *EVERYWHERE, "--beam", "0", code=UNUSABLE)
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


def test_a_checkpoint_out_of_reach_is_one_that_may_be_reached_later(
    closed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    problems, _ = asked(capsys, "models", "s3://there/model", "--json")
    assert problems == [
        "s3://there/model is out of reach: check the network and the store's endpoint (AWS_ENDPOINT_URL)."
    ]


def test_what_else_is_wrong_must_be_mended_whether_or_not_the_store_comes_back(
    closed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--to", str(tmp_path), "--format", "csv", "--line-letters", "0", "--json")
    problems, _ = asked(capsys, "export", "s3://there/out", *words, code=UNUSABLE)
    assert [problem.partition(" ")[0] for problem in problems] == ["line_letters", "cannot"]


@pytest.mark.parametrize(
    "words",
    [("report",), ("score",), ("filter",), ("export", "--to", "{}/texts", "--format", "csv"), ("verify",)],
    ids=lambda words: words[0],
)
def test_a_store_that_is_lost_midway_may_be_back_when_it_is_asked_again(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = write_output(tmp_path / "out", [[spoken("a", "one", reference="one")]])
    look = Disk.part

    def lost(place: Disk, path: str, begin: int, end: int | None, version: str | None) -> Part:
        if "/transcripts/" in path:
            raise StoreError("Unreachable", "the store does not answer")
        return look(place, path, begin, end, version)

    monkeypatch.setattr(Disk, "part", lost)
    monkeypatch.setattr(Disk, "open", lambda place, path: lost(place, path, 0, None, None))
    more = [word.format(tmp_path) for word in words[1:]]
    problems, _ = asked(capsys, words[0], output, *more, "--json")
    assert problems == ["the store does not answer"]


@pytest.mark.parametrize(
    ("after", "about"), [("jobs.setup.away", "out"), ("jobs.setup.away", "in"), ("jobs.work.claim", "in")]
)
def test_a_store_that_answered_and_breaks_before_the_run_begins_may_be_back_too(
    after: str, about: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module, _, name = after.rpartition(".")
    before, walk = getattr(import_module(module), name), Disk.walk

    def broken(place: Disk, path: str) -> Iterator[Entry]:
        if path.startswith(str(tmp_path / about)):
            raise StoreError("StoreFailed", "503: come back later")
        return walk(place, path)

    def breaking(*told: object) -> object:
        answer = before(*told)
        monkeypatch.setattr(Disk, "walk", broken)
        return answer

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.wav").write_bytes(b"sound")
    monkeypatch.setattr(after, breaking)
    problems, _ = asked(
        capsys, "transcribe", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-m", str(LASR), "--json"
    )
    assert len(problems) == 1 and problems[0].endswith("503: come back later")


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
    problems, _ = asked(capsys, *words, code=UNUSABLE)
    refused, missing = problems
    assert refused.startswith("output: ") and said in refused
    assert missing.startswith("input: ")
    assert "another-than-theirs" not in str(problems)
    words = ("transcribe", f"{rgw}/in", "-o", str(tmp_path / "out"), "-m", f"{rgw}/model", "--json")
    problems, _ = asked(capsys, *words, code=UNUSABLE)
    assert [problem.partition(":")[0] for problem in problems] == ["model", "input"]
    assert said in problems[1]
    assert "these credentials" in problems[0]
