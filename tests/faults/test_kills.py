"""A driver that is killed at moments of every sort, and whose table is in the end that of an untroubled run.

What was committed is not heard again, and what is lost with a driver is no more than what it had open.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from jobs.exits import FAILED_ROWS, FINE
from jobs.records import records
from pipeline.output import DONE, PLANS
from pipeline.storage import Store
from tests.faults.runs import Row, Run, failures, good, rows, shards, spoken, start, until
from tests.faults.work import OPEN, committed, heard, shards_of

pytestmark = pytest.mark.ray
RECORDINGS, SHARD = 20, 2
SEED = int(os.environ.get("STENOPOOL_SEED", "5"))
"""Of when the driver is killed."""
GUILTY = 13
"""The recording that kills its decoder, so that there are careful passes."""
Moment = Callable[[Run, Path, random.Random], None]
"""Wait for it."""


def while_it_plans(run: Run, output: Path, chance: random.Random) -> None:
    until((output / "lease.json").exists, run)
    time.sleep(chance.uniform(0.0, 1.0))
    assert not list((output / PLANS).glob("*.parquet"))


def while_the_pool_starts(run: Run, output: Path, chance: random.Random) -> None:
    until(lambda: run.workers("Listener"), run)
    time.sleep(chance.uniform(0.0, 0.5))


def at_any_time(run: Run, output: Path, chance: random.Random) -> None:
    time.sleep(chance.uniform(0.0, 6.0))


def when_more_is_written(run: Run, output: Path, chance: random.Random) -> None:
    enough = len(shards(output)) + chance.randint(1, 2)
    until(lambda: len(shards(output)) >= enough, run)


def while_it_takes_care(run: Run, output: Path, chance: random.Random) -> None:
    until(lambda: run.descendants("pipeline.apart"), run)


def killed(moments: Sequence[Moment], corpus: Path, output: Path, *meddle: str) -> list[dict[str, int]]:
    """One driver after the other dies at its moment; gives how often each of them heard each recording."""
    chance, found = random.Random(SEED), []
    troubles = ",".join(("readers are slow", "hearing is noted", *meddle))
    for number, moment in enumerate(moments):
        before = committed(output)
        notes = output.with_name(f"{output.name}-{number}")
        run = start(corpus, output, "--shard-size", SHARD, meddle=troubles, environment={"NOTES": str(notes)})
        moment(run, output, chance)
        assert run.process.poll() is None, f"it ended before {moment.__name__}"
        run.process.send_signal(signal.SIGKILL)
        run.process.wait()
        found.append(heard(notes))
        assert not before & found[-1].keys(), "what is committed is not heard again"
        assert len(shards_of(found[-1].keys() - committed(output), SHARD)) <= OPEN
    return found


def ended(corpus: Path, output: Path, meddle: str = "") -> tuple[int, Mapping[str, int]]:
    """How the last run ended, and what it heard."""
    notes, troubles = output.with_name("last"), ",".join(filter(None, ("hearing is noted", meddle)))
    run = start(corpus, output, "--shard-size", SHARD, meddle=troubles, environment={"NOTES": str(notes)})
    return run.end().code, heard(notes)


def test_a_driver_that_is_killed_twice_loses_and_doubles_nothing(
    corpus: Path, untroubled: list[Row], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    killed([while_the_pool_starts, when_more_is_written], corpus, output)
    there, before = shards(output), committed(output)
    assert 0 < len(there) < RECORDINGS // SHARD
    assert [record["ended"] for record in records(Store(str(output)))] == [None, None]
    code, again = ended(corpus, output)
    assert code == FINE
    assert rows(output) == untroubled
    assert there.items() <= shards(output).items()
    assert not before & again.keys(), "what is committed is not heard again"
    assert [record["ended"] for record in records(Store(str(output)))] == [None, None, DONE]
    assert set(again.values()) == {1} and len(before) + len(again) == RECORDINGS


@pytest.mark.slow
def test_a_driver_that_is_killed_five_times_at_moments_of_every_sort_does_neither(
    untroubled: list[Row], tmp_path: Path
) -> None:
    corpus, output = spoken(tmp_path / "corpus", RECORDINGS, {GUILTY: "-segv"}), tmp_path / "out"
    moments = [while_it_plans, while_the_pool_starts, at_any_time, when_more_is_written, while_it_takes_care]
    killed(moments, corpus, output, "decoder dies", "planning is slow")
    there, before = shards(output), committed(output)
    code, again = ended(corpus, output, "decoder dies")
    assert code == FAILED_ROWS
    found = rows(output)
    assert {Path(name).stem: kind for name, kind in failures(found).items()} == {f"{GUILTY:03}-segv": "Crashed"}
    assert without_place(good(found, "segv")) == without_place(good(untroubled, f"{GUILTY:03}."))
    assert there.items() <= shards(output).items()
    assert not before & again.keys(), "what is committed is not heard again"


def without_place(found: list[Row]) -> list[Row]:
    """Rows of recordings that lie in another folder."""
    return [row | {"uri": ""} for row in found]
