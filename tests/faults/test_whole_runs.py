"""Whole runs over a bad connection, onto a full disk, beside another run; and the suite itself, held to its word."""

import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs.exits import BROKEN, FINE, HELD, UNUSABLE
from pipeline.storage import Store
from tests.faults.proxy import proxy
from tests.faults.runs import Row, Run, rows, shards, start

pytestmark = [pytest.mark.ray, pytest.mark.slow]
FAULTS = ("503", "reset", "truncated", "delayed", "dropped")
RECORDINGS, SHARD = 24, 4
WORDS = ("--shard-size", SHARD)


@pytest.mark.parametrize("server", ["moto_s3", pytest.param("rgw", marks=pytest.mark.s3)])
def test_a_run_over_a_bad_connection_makes_the_table_of_a_good_one(
    server: str, corpus: Path, untroubled: list[Row], request: pytest.FixtureRequest
) -> None:
    bucket = request.getfixturevalue(server)
    for path in corpus.iterdir():
        Store(f"{bucket}/corpus").put(path.name, path.read_bytes())
    chance = random.Random(4)
    with proxy(os.environ["AWS_ENDPOINT_URL"]) as (address, faults):
        faults.chance = lambda: chance.choice(FAULTS) if chance.random() < 0.15 else None
        ended = start(f"{bucket}/corpus", f"{bucket}/out", *WORDS, environment={"AWS_ENDPOINT_URL": address}).end()
    assert ended.code == FINE, ended.err
    assert set(faults.used) == set(FAULTS)
    assert [row | {"uri": ""} for row in rows(f"{bucket}/out")] == [row | {"uri": ""} for row in untroubled]


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system of this size; a skip where none may be mounted."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a file system of a given size can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)  # noqa: S607


def test_a_run_that_fills_the_disk_says_so_and_goes_on_when_there_is_room(
    corpus: Path, untroubled: list[Row], tmp_path: Path
) -> None:
    with small_disk(tmp_path, kilobytes=4096) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(4024 << 10))
        ended = start(corpus, disk / "out", *WORDS).end()
        assert ended.code == UNUSABLE, ended
        assert "the disk is full" in ended.err and "Traceback" not in ended.err
        there = shards(disk / "out")
        assert 0 < len(there) < 6
        ballast.unlink()
        again = start(corpus, disk / "out", *WORDS).end()
        assert again.code == FINE, again.err
        assert rows(disk / "out") == untroubled
        assert there.items() <= shards(disk / "out").items()


def test_of_two_runs_at_once_one_writes_and_the_other_says_who_does(
    corpus: Path, untroubled: list[Row], tmp_path: Path
) -> None:
    both = [start(corpus, tmp_path, *WORDS) for _ in range(2)]
    ended = sorted((run.end() for run in both), key=lambda one: one.code)
    assert [one.code for one in ended] == [FINE, HELD], ended
    assert "another run is writing" in ended[1].err
    assert rows(tmp_path) == untroubled


def watched(runs: list[Run], output: Path) -> None:
    """The oracle: a shard's file, once there, is never another."""
    first: dict[str, tuple[int, int]] = {}
    while any(run.process.poll() is None for run in runs):
        first = {**shards(output), **first}
        time.sleep(0.02)
    assert [run.end().code for run in runs] == [FINE, FINE]
    assert {**shards(output), **first} == shards(output)


UNLEASED = "nobody minds the lease"


def planned(corpus: Path, output: Path) -> None:
    """An output with a plan and no table: two runs that plan at once turn one of them away before they write."""
    assert start(corpus, output, *WORDS).end().code == FINE
    for name in shards(output):
        (output / "transcripts" / name).unlink()


def test_two_runs_that_both_believe_in_their_lease_do_not_overwrite_each_other(
    corpus: Path, untroubled: list[Row], tmp_path: Path
) -> None:
    planned(corpus, tmp_path)
    watched([start(corpus, tmp_path, *WORDS, meddle=UNLEASED) for _ in range(2)], tmp_path)
    assert rows(tmp_path) == untroubled


def test_without_the_conditional_put_they_do(corpus: Path, tmp_path: Path) -> None:
    planned(corpus, tmp_path)
    with pytest.raises(AssertionError):
        watched([start(corpus, tmp_path, *WORDS, meddle=f"{UNLEASED},create overwrites") for _ in range(2)], tmp_path)
    assert len(shards(tmp_path)) == 6, "it was the oracle that failed, not the runs"


def whole(run: Run, output: Path, untroubled: list[Row]) -> None:
    """The oracle: it ends well only with the whole table, and ill without half a shard in it."""
    broken = run.end().code == BROKEN
    assert rows(output) == ([] if broken else untroubled)


def test_a_row_that_is_lost_on_its_way_is_not_committed(corpus: Path, untroubled: list[Row], tmp_path: Path) -> None:
    run = start(corpus, tmp_path, *WORDS, meddle="a row is lost")
    whole(run, tmp_path, untroubled)
    assert shards(tmp_path) == {}
    assert start(corpus, tmp_path, *WORDS).end().code == FINE
    assert rows(tmp_path) == untroubled


def test_without_the_balance_check_it_is(corpus: Path, untroubled: list[Row], tmp_path: Path) -> None:
    run = start(corpus, tmp_path, *WORDS, meddle="a row is lost,balance is not checked")
    with pytest.raises(AssertionError):
        whole(run, tmp_path, untroubled)
    assert len(shards(tmp_path)) == 6, "it was the oracle that failed, not the run"
