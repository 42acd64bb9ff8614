"""How a run ended, and what it did, in `runs/<id>.json`: also where it did not come to its end.

Of a run that was refused before there was an output, nothing is left: there is no place for it.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from jobs.exits import BROKEN, FAILED_ROWS, FINE, HELD, INTERRUPTED, UNFINISHED, UNUSABLE
from jobs.options import Work
from jobs.records import Part, before, part
from jobs.work import new_run_id
from pipeline.knocking import knock
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


@dataclass(frozen=True)
class Ending:
    """The record of a run that did not come to its end; what it has committed stands in the table."""

    run_id: str
    job: str
    output: str
    settings: dict[str, object]
    ended: str
    exit_code: int
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
    """When, in UTC."""


class Course:
    """Watches one run, from its beginning to the record of its end."""

    def __init__(self, options: Work, run_id: str) -> None:
        self.options, self.run_id = options, run_id
        self.problems: tuple[str, ...] = ()
        self._began, self._told = time.monotonic(), now()
        self._tally = Tally()

    def __call__(self, tally: Tally) -> None:
        """Keep what it has done: the tally goes on counting."""
        self._tally = tally

    def end(self, code: int) -> None:
        """Write it down, where the output can be written."""
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
            earlier = before(store, name)  # a night that is started again goes on
            record_run(store, name, asdict(self._ending(code, earlier)))
        except StoreError:
            return

    def _name(self, code: int) -> str:
        """The id, except where another run of the same night may be writing under it."""
        return f"{self.run_id}-held-{new_run_id()}" if code == HELD else self.run_id

    def _ending(self, code: int, earlier: Part) -> Ending:
        options, tally = self.options, self._tally
        done = part(tally, time.monotonic() - self._began, options) + earlier
        return Ending(
            run_id=self.run_id,
            job=type(options).__name__,
            output=options.output,
            settings=asdict(options),
            ended=ENDS[code],
            exit_code=code,
            problems=self.problems,
            **asdict(done),
            padding=tally.padding,
            passes=tally.passes,
            hourly_cost=done.hourly_cost,
            began=self._told,
            finished=now(),
        )
