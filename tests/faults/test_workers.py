"""Workers that are killed while others depend on them."""

import os
import random
from pathlib import Path

import pytest

from jobs.exits import FINE
from tests.faults.runs import Row, rows, shards, spoken, start, until, without_engine

pytestmark = [pytest.mark.ray, pytest.mark.slow]
SEED = int(os.environ.get("STENOPOOL_SEED", "4"))
"""Of what is troubled, and when."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spoken(tmp_path_factory.mktemp("spoken") / "corpus", 24)


@pytest.fixture(scope="module")
def untroubled(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return without_engine(corpus, tmp_path_factory.mktemp("untroubled"), shard_size=4)


@pytest.mark.parametrize("stage", ["Reader", "Listener"])
def test_an_actor_that_is_killed_costs_what_it_had_open(
    stage: str, corpus: Path, untroubled: list[Row], tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    run = start(corpus, tmp_path / "out", "--shard-size", 4, meddle="readers are slow")
    until(lambda: len(shards(tmp_path / "out")) >= chance.choice([1, 2]), run)
    until(lambda: run.workers(stage), run)
    there = shards(tmp_path / "out")
    for worker in run.workers(stage):
        worker.kill()
    ended = run.end()
    assert ended.code == FINE, ended.err
    assert rows(tmp_path / "out") == untroubled
    assert there.items() <= shards(tmp_path / "out").items()
    said = ended.said()
    assert said["shards"] == 6
    assert int(str(said["passes"])) <= 2, "what was lost is read once more"
