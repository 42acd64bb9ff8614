"""What a run plans before it works: everything once, what is new or changed, or what failed.

A plan is a generation: written once, never changed. What is missing of any generation is the work.
"""

import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.agreement import differently, others
from jobs.options import Work
from jobs.refusals import Problem, named
from pipeline.inputs.found import PlanError, PlanRules
from pipeline.inputs.rows import Row, key, unpacked
from pipeline.inputs.seen import Keys, Seen
from pipeline.latest import by_shard, generation_of
from pipeline.lease import Lease, LeaseLost
from pipeline.log import STEP, tell
from pipeline.output import add_generation, generations, plan_name
from pipeline.plan import plan, shards_of
from pipeline.planfile import Planned, Told, earlier, new_or_changed, read_plan, shards, write_plan
from pipeline.schema import FAILED
from pipeline.storage import Store, StoreError

EVERY = 2.0
"""Seconds between two words about how much is planned."""


class Planning(Protocol):
    """The role of everything below."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """What is planned from, as the user named it."""
        ...

    @property
    def told(self) -> Told:
        """What the user said of how they are read."""
        ...

    def flaws(self, store: Store | None) -> list[Problem]:
        """What is wrong with the inputs, looked at before anything starts, also where the output cannot be."""
        ...

    def shards(self, store: Store) -> Iterator[pa.Table]:
        """What the next generation holds: none where nothing is to be added."""
        ...


def add(planning: Planning, store: Store, lease: Lease) -> Planned:
    """Write the next generation, unless there is nothing in it; `LeaseLost` where another run has written it by now.

    Its number is the one that its shards are named after: a run that was stopped meanwhile must not count again.
    """
    with tempfile.TemporaryFile() as file:
        planned = write_plan(counted(planning.shards(store)), file, planning.inputs, planning.told)
        if planned.shards:
            generation = generation_of(next(shards(file)).shard)
            file.seek(0)
            lease.check()
            if not add_generation(store, generation, file.read()):
                raise LeaseLost(
                    f"this run must stop: another has planned generation {generation} of {store.url} while this one "
                    "was planning. What is there stands; run it again to go on."
                )
    return planned


def counted(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same tables; what they hold so far is told now and then, and at the end."""
    rows = containers = 0
    said = time.monotonic()
    for table in tables:
        rows += len(table)
        containers += table["recording_id"].null_count
        if time.monotonic() - said > EVERY:
            said = time.monotonic()
            tell(f"planning: {_found(rows, containers)} so far", level=STEP)
        yield table
    if rows:
        tell(f"planned: {_found(rows, containers)}", level=STEP)


def _found(rows: int, containers: int) -> str:
    known = {"recording": rows - containers, "container": containers}
    return " and ".join(f"{count:,} {name}{'s' * (count != 1)}" for name, count in known.items() if count)


def rules(options: Work) -> PlanRules:
    """How the inputs become shards."""
    return PlanRules(
        options.format,
        options.shard_size,
        options.tar_bytes,
        options.parquet_bytes,
        roots=options.roots,
        audio_column=options.audio_column,
        reference_column=options.reference_column,
        tars=options.tars,
        catalogue=options.catalogue,
    )


@dataclass(frozen=True)
class Once:
    """Everything that the inputs hold, unless that is planned."""

    options: Work

    @property
    def inputs(self) -> tuple[str, ...]:
        """As the options name them."""
        return self.options.inputs

    @property
    def told(self) -> Told:
        """As the options say it."""
        return self.options.told

    def flaws(self, store: Store | None) -> list[Problem]:
        """Nothing is looked at again once it is planned; so it must be these inputs that are."""
        if not (store and generations(store)):
            return _flaws(self.options)
        return [*others(self.inputs, store), *differently(self.told, store)]

    def shards(self, store: Store) -> Iterator[pa.Table]:
        """All of them, or none."""
        return iter(()) if generations(store) else plan(self.options.inputs, rules(self.options))


@dataclass(frozen=True)
class Growing:
    """What no earlier generation holds, or holds in another version."""

    options: Work
    listed: Seen = field(default_factory=Seen)
    """Where everything lies that the inputs hold now, in eight bytes each."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """As the options name them."""
        return self.options.inputs

    @property
    def told(self) -> Told:
        """As the options say it."""
        return self.options.told

    def flaws(self, store: Store | None) -> list[Problem]:
        """They are listed again each time; those that wait for a date cannot be."""
        known = tuple(name for name in self.inputs if "{date}" not in name)
        return _flaws(replace(self.options, inputs=known)) if known or not self.inputs else []

    def shards(self, store: Store) -> Iterator[pa.Table]:
        """Those of the inputs as they are now that were not there before."""
        numbers = generations(store)
        how = replace(rules(self.options), generation=_following(numbers))
        before = earlier(_plans(store, numbers))
        yield from new_or_changed(before, self._noted(plan(self.options.inputs, how, before)), how)

    def gone(self, store: Store) -> int:
        """Files of earlier generations that the inputs, which `shards` has listed, no longer hold: their rows stay."""
        count, counted = 0, Seen()
        for file in _plans(store, generations(store)):
            for table in read_plan(file):
                keys = _places(table)
                count += int(np.count_nonzero(counted.take(keys[~self.listed.has(keys)].tolist())))
        return count

    def _noted(self, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        for table in tables:
            self.listed.take(_places(table).tolist())
            yield table


@dataclass(frozen=True)
class Again:
    """What failed, of chosen classes of error; of a container, all that is in it.

    What the plan itself refused is left out: it would be refused again.
    """

    classes: Collection[str] = ()
    """None named: all."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """None: it is rows of earlier plans."""
        return ()

    @property
    def told(self) -> Told:
        """Nothing: these say it."""
        return {}

    def flaws(self, store: Store | None) -> list[Problem]:
        """Classes that no row failed with."""
        if store is None:
            return []
        known = sorted({kind for _, kind, _ in _failed(store)})
        there = f"rows failed with {', '.join(known)}" if known else "no row failed"
        return [f"errors {name}: {there}" for name in self.classes if name not in known]

    def shards(self, store: Store) -> Iterator[pa.Table]:
        """Their rows of the plans."""
        numbers = generations(store)
        wanted: dict[str, set[str]] = {}
        for shard, kind, name in _failed(store):
            if not self.classes or kind in self.classes:
                wanted.setdefault(shard, set()).add(name)
        return shards_of(_rows(_plans(store, numbers), wanted), PlanRules(generation=_following(numbers)))


def _following(numbers: Sequence[int]) -> int:
    """The next generation's number."""
    return max(numbers, default=0) + 1


def _plans(store: Store, numbers: Iterable[int]) -> Iterator[BinaryIO]:
    """The plans of these generations, one after the other."""
    for number in numbers:
        with store.open(plan_name(number)) as file:
            yield file


def _places(table: pa.Table) -> Keys:
    return np.array([key(uri) for uri in table["uri"].to_pylist()], np.uint64)


def _flaws(options: Work) -> list[Problem]:
    try:
        next(plan(options.inputs, rules(options)), None)
    except PlanError as error:
        return [named("input", reason) for reason in error.reasons if not str(reason).startswith("shard_size")]
    except StoreError as error:
        return [named("input", error)]
    return []


def _failed(store: Store) -> Iterator[tuple[str, str, str]]:
    """Shard, class of error and recording of every row that failed and stands."""
    for shard, table in by_shard(store, ["recording_id", "status", "error"]):
        for row in table.filter(pc.equal(table["status"], FAILED)).to_pylist():
            yield shard, row["error"]["class"], row["recording_id"]


def _rows(plans: Iterable[BinaryIO], wanted: Mapping[str, Collection[str]]) -> Iterator[tuple[str, Row]]:
    """The plans' rows of some recordings of some shards."""
    for file in plans:
        for table in read_plan(file):
            names = wanted.get(table["shard"][0].as_py(), ())
            for form, row in unpacked(table) if names else ():
                if row.error is None and (row.recording_id is None or row.recording_id in names):
                    yield form, row
