"""The runs of an output, as their records tell, also of those that did not come to their end."""

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.records import number, records, told
from pipeline.output import DONE, begun
from pipeline.storage import Store

ENDLESS = "has not ended"
"""Said of a run that goes on, or was killed."""
FEWEST = 3
"""Samples without which a course shows nothing."""


@dataclass(frozen=True)
class Run:
    """What a run did."""

    run_id: str
    began: str
    """UTC, to the minute."""
    rows: int
    audio_seconds: float
    wall_seconds: float
    padding: float
    passes: int
    readers: int
    ended: str
    """How: `done`, or what `jobs.chronicle` calls it; `ENDLESS` where it has not."""
    cost: float | None
    """In the unit of the prices that were given."""
    course: tuple[Mapping[str, float], ...]
    """What was done by when: sums, by their names in `pipeline.course.Sample`."""

    @property
    def speed(self) -> float:
        """Times real time, set-up included."""
        return self.audio_seconds / self.wall_seconds if self.wall_seconds else 0.0

    @property
    def idle(self) -> float | None:
        """The part of the time of loaded models in which they waited for a batch."""
        if not self.course or not (spent := self.course[-1]["idle"] + self.course[-1]["busy"]):
            return None
        return self.course[-1]["idle"] / spent

    @property
    def charted(self) -> bool:
        """Whether there is enough of a course to draw."""
        return len(self.course) >= FEWEST and self.course[-1]["elapsed"] > self.course[0]["elapsed"]


def runs(store: Store) -> list[Run]:
    """Every run that did something, or cost something, oldest first."""
    found = [_run(record) for record in records(store)]
    return sorted((run for run in found if run.rows or run.cost), key=lambda run: (run.began, run.run_id))


def _run(record: Mapping[str, object]) -> Run:
    done, course = told(record), record.get("course")
    return Run(
        run_id=str(record["run_id"]),
        began=begun(record)[:16].replace("T", " "),
        rows=sum(done.counts.values()),
        audio_seconds=done.audio_seconds,
        wall_seconds=done.wall_seconds,
        padding=number(record, "padding"),
        passes=int(number(record, "passes")),
        readers=int(number(record, "readers")),
        ended=str(record.get("ended", DONE) or ENDLESS),
        cost=done.cost,
        course=tuple(course) if isinstance(course, list) else (),
    )
