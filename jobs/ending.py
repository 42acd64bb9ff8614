"""How a run ended, in `runs/<id>.json`: also where it did not come to its end.

Of a run that was refused before there was an output, nothing is left: there is no place for it.
"""

import time
from dataclasses import asdict, dataclass

from jobs.exits import BROKEN, FAILED_ROWS, FINE, HELD, INTERRUPTED, UNFINISHED, UNUSABLE
from jobs.options import Work
from jobs.work import new_run_id
from pipeline.knocking import knock
from pipeline.output import DONE, now, read_identity, read_run, record_run
from pipeline.storage import Store, StoreError

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
    wall_seconds: float
    began: str
    finished: str
    """When, in UTC."""


class Course:
    """Of one run, from its beginning to the record of its end."""

    def __init__(self, options: Work, run_id: str) -> None:
        self.options, self.run_id = options, run_id
        self.problems: tuple[str, ...] = ()
        self._began, self._told = time.monotonic(), now()

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
            record_run(store, self._name(code), asdict(self._ending(code)))
        except StoreError:
            return

    def _name(self, code: int) -> str:
        """The id, except where another run of the same night may be writing under it."""
        return f"{self.run_id}-held-{new_run_id()}" if code == HELD else self.run_id

    def _ending(self, code: int) -> Ending:
        options, wall = self.options, time.monotonic() - self._began
        job, settings = type(options).__name__, asdict(options)
        how = (ENDS[code], code, self.problems)
        return Ending(self.run_id, job, options.output, settings, *how, wall, self._told, now())
