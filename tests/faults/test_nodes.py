"""A cluster that loses a node, gains one, or loses its head in the middle of a run."""

from pathlib import Path

import pytest

from jobs.exits import FINE, UNUSABLE
from tests.faults.nodes import nodes
from tests.faults.runs import Row, rows, shards, spoken, start, until, without_engine

pytestmark = [pytest.mark.ray, pytest.mark.slow]
WORDS = ("--shard-size", 3, "--window", 3)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spoken(tmp_path_factory.mktemp("spoken") / "corpus", 60)


@pytest.fixture(scope="module")
def untroubled(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return without_engine(corpus, tmp_path_factory.mktemp("untroubled"), shard_size=3)


def test_a_node_that_goes_and_one_that_comes_change_nothing_in_the_table(
    corpus: Path, untroubled: list[Row], tmp_path: Path
) -> None:
    with nodes() as cluster:
        run = start(corpus, tmp_path, *WORDS, "--address", cluster.address, meddle="readers are slow")
        until(lambda: len(shards(tmp_path)) >= 2, run)
        cluster.tell("remove")
        there = shards(tmp_path)
        cluster.tell("add")
        ended = run.end()
    assert ended.code == FINE, ended.err
    assert rows(tmp_path) == untroubled
    assert there.items() <= shards(tmp_path).items()
    assert int(str(ended.said()["passes"])) <= 3


def test_a_run_whose_head_dies_says_so_and_the_same_command_finishes_elsewhere(
    corpus: Path, untroubled: list[Row], tmp_path: Path
) -> None:
    with nodes() as cluster:
        run = start(corpus, tmp_path, *WORDS, "--address", cluster.address, meddle="readers are slow")
        until(lambda: len(shards(tmp_path)) >= 2, run)
        cluster.tell("behead")
        ended = run.end(limit=180)
    assert ended.code == UNUSABLE, ended
    assert "the same command goes on" in ended.err
    there = shards(tmp_path)
    with nodes() as cluster:
        again = start(corpus, tmp_path, *WORDS, "--address", cluster.address).end()
    assert again.code == FINE, again.err
    assert rows(tmp_path) == untroubled
    assert there.items() <= shards(tmp_path).items()
