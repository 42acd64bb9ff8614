"""A cluster that does not answer is told before anything is written, with whatever else is wrong."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import joining
from jobs.cli import main
from jobs.exits import UNUSABLE
from jobs.joining import closed_door


@pytest.fixture
def port() -> Iterator[int]:
    """Of loopback, where somebody listens."""
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        there.listen()
        yield there.getsockname()[1]


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "localhost:{}", "ray://127.0.0.1:{}", "ray://127.0.0.1:{}/?a=b"])
def test_a_door_that_opens_is_enough(address: str, port: int) -> None:
    assert list(closed_door(address.format(port))) == []


@pytest.mark.parametrize("address", [None, "auto", "local", "anyscale://cluster"])
def test_addresses_that_are_words_are_left_to_the_engine(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining.socket, "create_connection", lambda *_: pytest.fail("it knocked"))
    assert list(closed_door(address)) == []


@pytest.mark.parametrize(
    "address",
    [
        *("head", "head:", ":6379", "head:ninety", "head:65536", "ray://", "ray://:10001"),
        *("http://head:8265", "HTTPS://head"),
    ],
)
def test_what_is_no_address_is_told(address: str) -> None:
    assert list(closed_door(address)) == [f"address is {address!r}: it must be HOST:PORT, ray://HOST:10001 or auto"]


def test_a_door_that_stays_shut_is_told_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(place: tuple[str, int], seconds: float) -> None:
        assert (place, seconds) == (("head", 10_001), 5.0)
        raise TimeoutError("timed out")

    monkeypatch.setattr(joining.socket, "create_connection", never)
    (said,) = closed_door("ray://head")
    assert said.startswith("address: nothing answers at ray://head (no answer within 5 s): ")


def test_it_is_told_with_all_that_is_wrong_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ("transcribe", str(tmp_path / "none"), "-o", str(out), "-m", "/no/model", "--address", "127.0.0.1:1")
    assert main(words) == UNUSABLE
    problems = [line for line in capsys.readouterr().err.splitlines() if ": " in line.removeprefix("steno: ")]
    assert "steno: address: nothing answers at 127.0.0.1:1 (Connection refused): " in problems[0]
    assert [problem.split(": ")[1] for problem in problems] == ["address", "model", "input"]
    assert not [path for path in out.rglob("*") if path.is_file()]
