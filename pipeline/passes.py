"""A run is passes over what is missing, until nothing is.

The first pass reads whole shards in full batches. Whatever did not arrive was open when something died: later passes
read those recordings again, each decoded in a process of its own and heard in a batch of its own. One that is lost
twice even so is written off, as a row that says so.
"""

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import flow
from pipeline.bundles import bundles
from pipeline.commit import Committed, Footer, Key, Stamp, commit
from pipeline.doubt import roots
from pipeline.gathering import Gathering, Whole
from pipeline.inference import Device
from pipeline.lease import Lease
from pipeline.log import tell
from pipeline.output import done, generations, plan_name
from pipeline.planfile import Place, inputs_of, shard_rows, shards, told_of
from pipeline.reading import Rules
from pipeline.resources import Resources
from pipeline.schema import FAILED, STATUSES, Failure
from pipeline.standing import Watchman
from pipeline.standstill import StandstillError
from pipeline.stitching import Making
from pipeline.storage import Store
from pipeline.tally import Tally, Watch
from pipeline.unfinished import UnfinishedError

CHANCES = 2
"""Careful passes that a recording may be lost in."""
CRASHED = Failure("Crashed", "inference", "it took its worker with it, again and again, though it was alone")
DRIVERS = 2
"""Drivers that may die over a shard before it is read with care from the start."""
STANDSTILLS = 3
"""Passes one after the other that may come to a standstill before anything has arrived."""


class OutageError(UnfinishedError):
    """The storage failed for the whole of a pass. What is committed stands; the same command goes on."""


def missing_shards(store: Store) -> dict[str, tuple[int, Place]]:
    """Planned shards without a file, each with the generation that planned it."""
    there = set(done(store))
    found: dict[str, tuple[int, Place]] = {}
    for generation in generations(store):
        with store.open(plan_name(generation)) as file:
            found |= {place.shard: (generation, place) for place in shards(file) if place.shard not in there}
    return found


@dataclass(frozen=True)
class Passes:
    """Everything that the passes of one run share."""

    store: Store
    lease: Lease
    rules: Rules
    device: Device
    resources: Resources
    making: Making
    fingerprint: str
    watch: Watch
    at_once: int = flow.ROUND
    """Calls of a reader that the engine is given at once."""

    def run(self) -> Tally:
        """Do what the plans hold and the table does not."""
        gathering = Gathering(self.making)
        tally = Tally(arrivals=gathering.arrivals, readers=self.resources.readers)
        lost: Counter[tuple[str, int]] = Counter()
        suspects = {shard for shard, times in self.lease.inherited.items() if times >= DRIVERS}
        careful, still = False, 0
        while missing := missing_shards(self.store):
            finished = tally.shards
            tally.passes += 1
            tell(f"pass {tally.passes} over {len(missing):,} shards")
            tally.retries += len(missing) if careful else 0
            tally.missing = tally.missing or sum(weight(place) for _, place in missing.values())
            before = gathering.arrivals.total()
            try:
                self._all(missing, suspects, gathering, tally, careful)
            except StandstillError as error:  # nobody's fault: the cluster has no room for what is left
                still = 0 if gathering.arrivals.total() > before else still + 1
                if still == STANDSTILLS:
                    raise UnfinishedError(
                        f"{error}, {still} times in a row, and nothing was heard between. What is committed stands; "
                        f"the same command goes on when the cluster has nodes for it"
                    ) from error
                tell(f"{error}: beginning anew with what is missing", level=logging.WARNING)
                continue
            if gathering.outages and tally.shards == finished:
                raise OutageError(next(iter(gathering.outages.values())))
            if careful:
                self._blame(gathering, tally, lost)
            careful = True
            self.watch(tally)
        return tally

    def _all(
        self,
        missing: Mapping[str, tuple[int, Place]],
        suspects: Collection[str],
        gathering: Gathering,
        tally: Tally,
        careful: bool,
    ) -> None:
        """One pass; what is suspected comes last and is read with care."""
        doubtful = {} if careful else {s: p for s, p in missing.items() if s in suspects}
        self._pass({s: p for s, p in missing.items() if s not in doubtful}, gathering, tally, careful)
        if doubtful:
            self._pass(doubtful, gathering, tally, careful=True)

    def _pass(
        self, missing: Mapping[str, tuple[int, Place]], gathering: Gathering, tally: Tally, careful: bool
    ) -> None:
        gathering.start_again()
        if not missing:
            return
        places = [place for _, place in missing.values()]
        readers = max(self.resources.readers, self.resources.most_readers)
        calls = ([place] for place in places) if careful else bundles(places, readers)
        work = ([self._work(missing[place.shard][0], place, gathering) for place in call] for call in calls)
        rules = replace(self.rules, apart=careful, roots=self._roots({number for number, _ in missing.values()}))
        with closing(flow.heard(work, rules, self.device, self.resources, self.at_once)) as tables:
            for table in tables:
                self._take(table, missing, gathering, tally)

    def _take(
        self, table: pa.Table, missing: Mapping[str, tuple[int, Place]], gathering: Gathering, tally: Tally
    ) -> None:
        """Count and gather what was heard in a batch, and commit what is whole with it."""
        tally.take(table, self.making.sample_rate)
        for whole in gathering.take(table):
            self._commit(whole, *missing[whole.shard], tally)
            tally.written += weight(missing[whole.shard][1])
        self.lease.mark(gathering.open)
        begun = {shard: missing[shard][1] for shard in gathering.open if shard in missing}
        ahead = sum(weight(place) * gathering.share(shard, place.rows) for shard, place in begun.items())
        tally.done, tally.open, tally.standing = tally.written + ahead, len(gathering.open), Watchman.latest
        tally.readers = max(tally.readers, Watchman.latest.readers)
        self.watch(tally)

    def _work(self, generation: int, place: Place, gathering: Gathering) -> dict[str, object]:
        return {
            "plan": plan_name(generation),
            "shard": place.shard,
            "row_group": place.row_group,
            "first": place.first,
            "rows": place.rows,
            "done": gathering.arrived(place.shard),
        }

    def _roots(self, numbers: Collection[int]) -> tuple[str, ...]:
        """The folders that recordings of these generations may lie in."""
        named: list[str] = []
        for generation in sorted(numbers):
            with self.store.open(plan_name(generation)) as file:
                named += [*inputs_of(file), *told_of(file).get("roots", ())]
        return roots(named)

    def _commit(self, whole: Whole, generation: int, place: Place, tally: Tally) -> None:
        self.lease.check()
        self.lease.acquit(whole.shard)
        stamp = Stamp(self.fingerprint, self.making.run_id, generation)
        began = time.monotonic()
        ended = commit(self.store, whole.shard, whole.table, whole.expected | planned(whole, place), stamp)
        tally.commits.append(time.monotonic() - began)
        tally.shards += 1
        tally.already += not isinstance(ended, Committed)
        tally.counts.update({status: ended.footer.counts.get(status, 0) for status in STATUSES})
        tally.seconds += ended.footer.seconds
        told(whole, ended.footer)

    def _blame(self, gathering: Gathering, tally: Tally, lost: Counter[tuple[str, int]]) -> None:
        """Write off what was lost too often, although it was alone."""
        for shard, (generation, place) in missing_shards(self.store).items():
            if shard in gathering.outages:
                continue
            rows = self._rows(generation, place)
            here, count = set(gathering.arrived(shard)), gathering.census(shard)
            uncounted = count is None and rows["recording_id"].null_count > 0
            if count is None:  # of a container that was not read to its end, the place behind what arrived is tried
                count = max(here, default=-1) + 2 if uncounted else place.rows
            missing = [ordinal for ordinal in range(count) if ordinal not in here]
            # a reader that died was at the first that is missing: those behind it were not tried
            lost.update((shard, o) for o in (missing if shard in gathering.reached else missing[:1]))
            guilty = [ordinal for ordinal in missing if lost[shard, ordinal] >= CHANCES]
            # behind one fatal place it is read on; where the next was fatal, too, a row stands for the rest
            rest = uncounted and lost[shard, count - 2] >= CHANCES
            losses = {}
            for ordinal, head in zip(guilty, _named(rows, guilty), strict=True):
                why = gathering.withheld.get((shard, ordinal), CRASHED)
                losses[ordinal] = head, unread(why) if rest and ordinal == count - 1 else why
            for whole in gathering.give_up(shard, losses, count if rest or not uncounted else count + 1):
                self._commit(whole, generation, place, tally)

    def _rows(self, generation: int, place: Place) -> pa.Table:
        with self.store.open(plan_name(generation)) as file:
            return shard_rows(file, place)


def told(whole: Whole, footer: Footer) -> None:
    """Record a shard that is written, and its recordings that failed."""
    for row in whole.table.filter(pc.equal(whole.table["status"], FAILED)).to_pylist():
        why = f"{row['error']['class']} in {row['error']['stage']}: {row['error']['message']}"
        tell(why, shard=whole.shard, recording=row["recording_id"], level=logging.WARNING)
    counts = ", ".join(f"{count:,} {status}" for status, count in footer.counts.items() if count)
    tell(f"written: {counts or 'no rows'}", shard=whole.shard)


def unread(why: Failure) -> Failure:
    """Of the row that stands for the rest of a container."""
    return replace(why, message=f"{why.message}; what lies behind was not read: `steno retry` reads all of it again")


def weight(place: Place) -> int:
    """How much work a shard is: shards of unknown size are next to none."""
    return max(1, place.bytes)


def planned(whole: Whole, place: Place) -> frozenset[Key]:
    """What the plan knows of and the reader does not. A lone row may be a container, of which the plan knows less."""
    read = {ordinal for ordinal, _ in whole.expected}
    return frozenset((ordinal, None) for ordinal in range(place.rows) if place.rows > 1 and ordinal not in read)


def _named(rows: pa.Table, ordinals: list[int]) -> Iterator[Mapping[str, object]]:
    """What the plan says of recordings; of a container's, which it does not know, the container's name."""
    planned = rows.to_pylist()
    for ordinal in ordinals:
        row = planned[ordinal] if ordinal < len(planned) and planned[0]["recording_id"] is not None else planned[0]
        known = row["recording_id"] or f"{row['uri']}:{ordinal}"
        yield {**row, "recording_id": known}
