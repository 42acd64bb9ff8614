"""How a run goes and how it ended, in `runs/<id>.json`: also where it did not come to its end, or was killed.

It is written when the run has its output to itself, now and then while it goes on, and at its end. Of a run that was
refused before there was an output, nothing is left: there is no place for it.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass

from jobs.exits import BROKEN, FAILED_ROWS, FINE, HELD, INTERRUPTED, UNFINISHED, UNUSABLE
from jobs.options import Work
from jobs.records import Part, before, new_run_id, part
from pipeline.knocking import knock
from pipeline.lease import Lease
from pipeline.output import DONE, now, read_identity, read_run, record_run
from pipeline.storage import Store, StoreError
from pipeline.tally import Tally

ENDS = {
    FINE: DONE,
    FAILED_ROWS: DONE,
    UNUSABLE: "refused",
    HELD: "turned away",
    BROKEN: "broken",
    UNFINISHED: "unfinished",
    INTERRUPTED: "interrupted",
}
"""What records call the exit codes."""
EVERY = 60.0
"""Seconds between two records of a run that goes on: so much of what it did and cost is unknown if it is killed."""


@dataclass(frozen=True)
class Account:
    """The record of a run that has not come to its end; what it has committed stands in the table."""

    run_id: str
    job: str
    output: str
    settings: dict[str, object]
    ended: str | None
    """How; None while it goes on, and for ever if it was killed."""
    exit_code: int | None
    problems: tuple[str, ...]
    """What was said of it."""
    counts: Mapping[str, int]
    """Rows that it has committed, by status."""
    shards: int
    audio_seconds: float
    wall_seconds: float
    padding: float
    passes: int
    cost: float | None
    """Of all its starts, in the unit of the given prices; None without prices."""
    hourly_cost: float | None
    """The same for an hour of audio."""
    began: str
    finished: str
    """When, in UTC; of one that goes on, when this was written."""


class Chronicle:
    """Watches one run, and keeps its record."""

    def __init__(self, options: Work, run_id: str | None = None) -> None:
        self.options, self.run_id = options, run_id or new_run_id()
        self.problems: tuple[str, ...] = ()
        self.began, self._began = now(), time.monotonic()
        self._tally = Tally()
        self._place: tuple[Store, Lease] | None = None
        self._earlier = Part()
        self._written = -EVERY

    def open(self, store: Store, lease: Lease) -> None:
        """Begin it, where nobody else writes; what earlier starts of the same night did is a part of it."""
        self._earlier, self._place = before(store, self.run_id), (store, lease)
        self(self._tally)

    def __call__(self, tally: Tally) -> None:
        """Keep what the run has done, which goes on counting, and write it down now and then."""
        self._tally = tally
        if self._place is None or time.monotonic() - self._written < EVERY:
            return
        store, lease = self._place
        lease.check()
        self._written = time.monotonic()
        with suppress(StoreError):  # the next commit tells
            record_run(store, self.run_id, asdict(self._account(None)))

    def done(self, tally: Tally) -> Part:
        """What all its starts have done."""
        return part(tally, time.monotonic() - self._began, self.options) + self._earlier

    def end(self, code: int) -> None:
        """Write down how it ended, where the output can be written."""
        try:
            if code not in (FINE, FAILED_ROWS):
                knock(self.options.output)  # it may be what this run ended of
            store = Store(self.options.output)
            if known := read_run(store, self.run_id):  # done, by this run or by another of the same night
                if code in (FINE, FAILED_ROWS):
                    record_run(store, self.run_id, {**known, "exit_code": code})
                return
            read_identity(store)
            name = self._name(code)
            if self._place is None or code == HELD:
                self._earlier = before(store, name)
            record_run(store, name, asdict(self._account(code)))
        except StoreError:
            return

    def _name(self, code: int) -> str:
        """The id, except where another run of the same night may be writing under it."""
        return f"{self.run_id}-held-{new_run_id()}" if code == HELD else self.run_id

    def _account(self, code: int | None) -> Account:
        options, tally, done = self.options, self._tally, self.done(self._tally)
        return Account(
            run_id=self.run_id,
            job=type(options).__name__,
            output=options.output,
            settings=asdict(options),
            ended=None if code is None else ENDS[code],
            exit_code=code,
            problems=self.problems,
            **asdict(done),
            padding=tally.padding,
            passes=tally.passes,
            hourly_cost=done.hourly_cost,
            began=self.began,
            finished=now(),
        )
