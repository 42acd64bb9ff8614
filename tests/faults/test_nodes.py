"""A cluster that loses a node, gains one, or loses its head in the middle of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobs.exits import FINE, UNFINISHED
from tests.faults.nodes import Nodes, nodes
from tests.faults.runs import Row, Run, rows, shards, start, until

pytestmark = [pytest.mark.ray, pytest.mark.slow]
RECORDINGS, SHARD = 60, 3
WORDS = ("--shard-size", SHARD, "--window", SHARD, "--device", "cpu", "--model-gpus", 1)
"""A pretended GPU for each model, which hears without it."""


@contextmanager
def troubled(corpus: Path, output: Path) -> Iterator[tuple[Nodes, Run]]:
    """A cluster, and a run on it that has written some of its shards."""
    with nodes() as cluster:
        run = start(corpus, output, *WORDS, "--address", cluster.address, meddle="readers are slow")
        until(lambda: len(shards(output)) >= 2, run)
        yield cluster, run


def test_a_node_that_goes_and_one_that_comes_change_nothing_in_the_table(
    corpus: Path, untroubled: list[Row], tmp_path: Path
) -> None:
    with troubled(corpus, tmp_path) as (cluster, run):
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
    with troubled(corpus, tmp_path) as (cluster, run):
        cluster.tell("behead")
        ended = run.end(limit=180)
    assert ended.code == UNFINISHED, ended
    assert "the same command goes on" in ended.err
    there = shards(tmp_path)
    with nodes() as cluster:
        again = start(corpus, tmp_path, *WORDS, "--address", cluster.address).end()
    assert again.code == FINE, again.err
    assert rows(tmp_path) == untroubled
    assert there.items() <= shards(tmp_path).items()
