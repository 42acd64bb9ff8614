"""`--dry-run`: everything is checked and planned, and nothing is started or written but a probe of the output."""

import tempfile
from dataclasses import dataclass
from typing import BinaryIO

from jobs.options import Work
from jobs.setup import Ready, checked, rules
from jobs.summary import clock
from jobs.table import aligned
from pipeline.output import done, generations, plan_name
from pipeline.plan import plan
from pipeline.planfile import Planned, read_plan, write_plan
from pipeline.tasks import Task


@dataclass(frozen=True)
class Preview:
    """What a run would do."""

    output: str
    storage: str
    """What the output's store promises."""
    planned: Planned
    shards_done: int
    """Shards that are finished already."""

    def text(self) -> str:
        """A table for people."""
        planned = self.planned
        rows = [
            ("output", self.output),
            ("storage", self.storage),
            ("shards", f"{planned.shards:,}, {self.shards_done:,} of them done"),
            ("recordings", f"{planned.rows - planned.containers:,} known"),
            ("containers", f"{planned.containers:,}, which say how many recordings they hold when they are read"),
            ("refused", f"{planned.failed:,} by the plan itself: they become failed rows"),
            ("size", f"{planned.bytes / 1e6:,.1f} MB of audio, where the input tells"),
            ("audio", self._hours()),
        ]
        shown = {"containers": planned.containers, "refused": planned.failed}
        return aligned([row for row in rows if shown.get(row[0], 1)])

    def _hours(self) -> str:
        planned = self.planned
        if not planned.timed:
            return "how long is not known before it is decoded"
        told = f"{clock(planned.seconds)}, as the input tells"
        return told if planned.timed == planned.rows else f"{told} of {planned.timed:,} recordings; the rest is unknown"


def preview(options: Work, task: Task) -> Preview:
    """Check and plan; `SetupError` names all that is wrong."""
    ready = checked(options, task)
    with tempfile.TemporaryFile() as file:
        planned = _planned(options, ready, file)
    return Preview(options.output, ready.storage, planned, sum(1 for _ in done(ready.store)))


def _planned(options: Work, ready: Ready, file: BinaryIO) -> Planned:
    """By the plan that the output has, or by a new one."""
    numbers = generations(ready.store)
    if not numbers:
        return write_plan(plan(options.inputs, rules(options)), file)
    total = Planned()
    for number in numbers:
        with ready.store.open(plan_name(number)) as there:
            for table in read_plan(there):
                total = total.with_shard(table)
    return total
