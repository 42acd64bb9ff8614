"""The runs of an output, as their records tell; one of an earlier version may lack what later ones know."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.output import begun, read_runs
from pipeline.storage import Store

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
    """Every run that did something, oldest first."""
    found = [_run(record) for record in read_runs(store)]
    return sorted((run for run in found if run.rows), key=lambda run: (run.began, run.run_id))


def _run(record: Mapping[str, object]) -> Run:
    counts, course = record.get("counts"), record.get("course")
    return Run(
        run_id=str(record["run_id"]),
        began=begun(record)[:16].replace("T", " "),
        rows=sum(counts.values()) if isinstance(counts, dict) else 0,
        audio_seconds=_number(record, "audio_seconds"),
        wall_seconds=_number(record, "wall_seconds"),
        padding=_number(record, "padding"),
        passes=int(_number(record, "passes")),
        readers=int(_number(record, "readers")),
        cost=None if record.get("cost") is None else _number(record, "cost"),
        course=tuple(course) if isinstance(course, list) else (),
    )


def _number(record: Mapping[str, object], name: str) -> float:
    value = record.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
