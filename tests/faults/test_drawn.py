"""One whole run in trouble for every test run, drawn by STENOPOOL_SEED or, without one, by the day.

All of them are tried by the tests that are marked slow; so over some days the quick ones try them, too.
"""

import os
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults import test_whole_runs, test_workers
from tests.faults.runs import Row

pytestmark = pytest.mark.ray
RECORDINGS, SHARD = 24, 4
SEED = int(os.environ.get("STENOPOOL_SEED", datetime.now(UTC).date().toordinal()))
Trouble = Callable[[Path, list[Row], Path, pytest.FixtureRequest], None]


def killed(stage: str) -> Trouble:
    hurt = test_workers.test_an_actor_that_is_killed_costs_what_it_had_open
    return lambda corpus, untroubled, output, _: hurt(stage, corpus, untroubled, output)


FAULTS: dict[str, Trouble] = {
    "a reader is killed": killed("Reader"),
    "a model is killed": killed("Listener"),
    "a bad connection": lambda corpus, untroubled, _, request: (
        test_whole_runs.test_a_run_over_a_bad_connection_makes_the_table_of_a_good_one(
            "moto_s3", corpus, untroubled, request
        )
    ),
    "two drivers": lambda corpus, untroubled, output, _: (
        test_whole_runs.test_of_two_runs_at_once_one_writes_and_the_other_says_who_does(corpus, untroubled, output)
    ),
    "two drivers without the conditional put": lambda corpus, _, output, __: (
        test_whole_runs.test_without_the_conditional_put_they_do(corpus, output)
    ),
    "a row is lost without the balance check": lambda corpus, untroubled, output, _: (
        test_whole_runs.test_without_the_balance_check_it_is(corpus, untroubled, output)
    ),
}
DRAWN = random.Random(SEED).choice(list(FAULTS))


@pytest.mark.parametrize("fault", [pytest.param(DRAWN, id=f"{DRAWN}, STENOPOOL_SEED={SEED}")])
def test_a_whole_run_in_trouble_makes_the_table_of_a_quiet_one(
    fault: str, corpus: Path, untroubled: list[Row], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    FAULTS[fault](corpus, untroubled, tmp_path, request)
