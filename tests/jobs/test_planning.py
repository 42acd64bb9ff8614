"""A generation is written by the run that holds the lease, under the number that its shards bear, or not at all."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from jobs import planning
from jobs.cli import main
from jobs.exits import HELD
from jobs.options import Incremental
from jobs.planning import Growing
from pipeline.lease import Lease, LeaseLost
from pipeline.output import generations, plan_name
from pipeline.planfile import shards
from pipeline.storage import Store
from tests.checkpoints import write_small_speller
from tests.faults.runs import engineless
from tests.jobs.planned import add
from tests.pipeline.corpora import clip, written


class Held(Lease):
    """What nobody has taken away."""

    def check(self) -> None:
        """It is."""


class Lost(Lease):
    """What another has taken."""

    def check(self) -> None:
        raise LeaseLost("it was taken")


@dataclass(frozen=True)
class Paused(Growing):
    """A run that is stopped when it has listed its inputs, while another takes its place."""

    corpus: Path = Path()

    def shards(self, store: Store) -> Iterator[pa.Table]:
        tables = list(super().shards(store))
        written(self.corpus, {"b.wav": clip(2)})
        planning.add(Growing(self.options), store, Held(store, "other"))
        yield from tables


@pytest.fixture
def grown(tmp_path: Path) -> tuple[Incremental, Store]:
    """An output with one generation."""
    options = Incremental((str(written(tmp_path / "in", {"0.wav": clip(0)})),), str(tmp_path / "out"), "model")
    store = Store(options.output)
    add(Growing(options), store)
    written(tmp_path / "in", {"a.wav": clip(1)})
    return options, store


def names(store: Store) -> list[str]:
    """Of every planned shard."""
    found = []
    for number in generations(store):
        with store.open(plan_name(number)) as file:
            found += [place.shard for place in shards(file)]
    return found


def test_a_plan_that_another_run_was_quicker_to_write_is_not_written(grown: tuple[Incremental, Store]) -> None:
    options, store = grown
    with pytest.raises(LeaseLost, match="another has planned generation 2"):
        planning.add(Paused(options, corpus=Path(options.inputs[0])), store, Held(store, "run"))
    assert generations(store) == [1, 2]
    assert len(names(store)) == len(set(names(store))) == 2


def test_a_run_that_has_lost_its_lease_writes_no_plan(grown: tuple[Incremental, Store]) -> None:
    options, store = grown
    with pytest.raises(LeaseLost, match="it was taken"):
        planning.add(Growing(options), store, Lost(store, "run"))
    assert generations(store) == [1]


def test_a_run_that_loses_its_lease_while_it_plans_ends_as_one_that_is_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, model = written(tmp_path / "in", {"0.wav": clip(0)}), write_small_speller(tmp_path / "model")
    monkeypatch.setattr(Lease, "check", Lost.check)
    with engineless():
        code = main(["transcribe", str(corpus), "-o", str(tmp_path / "out"), "-m", str(model), "--cpus", "1"])
    assert code == HELD and "it was taken" in capsys.readouterr().err
    assert generations(Store(str(tmp_path / "out"))) == []
