"""`--dry-run`: everything is checked and planned, and nothing is started or written but a probe of the output."""

import tempfile
from dataclasses import dataclass

from jobs.options import Work
from jobs.planning import Growing, Planning
from jobs.setup import checked
from jobs.summary import clock
from jobs.table import aligned
from pipeline.output import done, generations, plan_name
from pipeline.planfile import Planned, read_plan, write_plan
from pipeline.storage import Store
from pipeline.tasks import Task


@dataclass(frozen=True)
class Preview:
    """What a run would do."""

    output: str
    storage: str
    """What the output's store promises."""
    planned: Planned
    """All generations, with what would be added."""
    new: Planned
    """What would be added."""
    gone: int
    """Files that were planned once and are not in the inputs now."""
    shards_done: int
    """Shards that are finished already."""

    def text(self) -> str:
        """A table for people."""
        planned = self.planned
        rows = [
            ("output", self.output),
            ("storage", self.storage),
            ("shards", f"{planned.shards:,}, {self.shards_done:,} of them done"),
            ("new or changed", f"{self.new.rows:,} of {planned.rows:,}"),
            ("gone", f"{self.gone:,} files that are not in the inputs any more: their rows stay"),
            ("recordings", f"{planned.rows - planned.containers:,} known"),
            ("containers", f"{planned.containers:,}, which say how many recordings they hold when they are read"),
            ("refused", f"{planned.failed:,} by the plan itself: they become failed rows"),
            ("size", f"{planned.bytes / 1e6:,.1f} MB of audio, where the input tells"),
            ("audio", self._hours()),
        ]
        grown = planned.shards != self.new.shards
        shown = {
            "containers": planned.containers,
            "refused": planned.failed,
            "gone": self.gone,
            "new or changed": grown,
        }
        return aligned([row for row in rows if shown.get(row[0], 1)])

    def _hours(self) -> str:
        planned = self.planned
        if not planned.timed:
            return "how long is not known before it is decoded"
        told = f"{clock(planned.seconds)}, as the input tells"
        return told if planned.timed == planned.rows else f"{told} of {planned.timed:,} recordings; the rest is unknown"


def preview(options: Work, task: Task, planning: Planning) -> Preview:
    """Check and plan; `SetupError` names all that is wrong."""
    store, storage = _checked(options, task, planning)
    with tempfile.TemporaryFile() as file:
        new = write_plan(planning.shards(store), file)
    return Preview(
        options.output, storage, _total(store, new), new, _gone(planning, store), sum(1 for _ in done(store))
    )


def _checked(options: Work, task: Task, planning: Planning) -> tuple[Store, str]:
    ready = checked(options, task, planning)
    return ready.store, ready.storage


def _total(store: Store, new: Planned) -> Planned:
    """With all that is planned already."""
    for number in generations(store):
        with store.open(plan_name(number)) as there:
            for table in read_plan(there):
                new = new.with_shard(table)
    return new


def _gone(planning: Planning, store: Store) -> int:
    return planning.gone(store) if isinstance(planning, Growing) else 0
