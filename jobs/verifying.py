"""`steno verify`: the plan against the table, and every row against what a row must be.

What is wrong with a file is said with its shard, and all the others are looked at, too.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.census import uncounted
from jobs.exits import FAILED_ROWS, FINE
from jobs.finished import unheld
from jobs.options import Verify
from jobs.outcome import standing
from jobs.refusals import SetupError
from jobs.table import aligned
from pipeline.commit import describe, read_footer
from pipeline.inputs.seen import Seen
from pipeline.knocking import knock
from pipeline.latest import superseded
from pipeline.log import visible
from pipeline.output import done, generations, plan_name, read_identity, transcript_name
from pipeline.planfile import read_plan
from pipeline.schema import FAILED, OK, STATUSES, TRANSCRIPT
from pipeline.storage import Store, StoreError
from pipeline.stores.errors import UNREACHABLE

__all__ = ["Verdict", "Verify", "verify"]

SLACK = 0.05
"""Seconds that a word may end after its recording: the last frame may reach over the last sample."""
NAMED = 20
"""Problems that are shown; all are counted."""

HELD = ("text", "labels", "embedding", "units")
"""What a row may hold that was heard: one of these at least."""

Row = Mapping[str, object]


@dataclass
class Verdict:
    """What was looked at, and what is wrong."""

    output: str
    shards: int = 0
    """Planned."""
    missing: int = 0
    """Planned, without a file."""
    rows: dict[str, int] = field(default_factory=dict)
    """By status: those that stand, where later generations hold some again."""
    problems: list[str] = field(default_factory=list)
    """Everything that is wrong, in the order of the shards."""

    @property
    def whole(self) -> bool:
        """Whether everything is there once, and right."""
        return not self.problems

    @property
    def code(self) -> int:
        """That the command ends with."""
        return FINE if self.whole else FAILED_ROWS

    @property
    def note(self) -> str:
        """Nothing that must be known beside it."""
        return ""

    def record(self) -> dict[str, object]:
        """For programs."""
        return {**asdict(self), "whole": self.whole}

    def text(self) -> str:
        """For people."""
        counts = ", ".join(f"{self.rows[status]:,} {status}" for status in STATUSES if status in self.rows)
        rows = [("output", self.output), ("shards", f"{self.shards:,} planned, {self.missing:,} without a file")]
        shown = [f"- {visible(problem)}" for problem in self.problems[:NAMED]]
        more = len(self.problems) - len(shown)
        said = "everything that is planned is there once, and right" if self.whole else _problems(len(self.problems))
        return "\n".join(
            [
                aligned([*rows, ("rows", counts or "none"), ("verdict", said)]),
                *shown,
                *([f"- and {more:,} more: --json names all"] if more > 0 else []),
            ]
        )


def _problems(count: int) -> str:
    return "1 problem" if count == 1 else f"{count:,} problems"


def verify(options: Verify) -> Verdict:
    """Read a whole output; `SetupError` where there is none to read."""
    try:
        store = Store(options.output)
        knock(options.output)
        fingerprint, numbers = read_identity(store).fingerprint, generations(store)
    except StoreError as error:
        raise SetupError([unheld(options.output, error)]) from error
    verdict, there, planned = Verdict(options.output), set(done(store)), set[str]()
    for number in numbers:
        expected = _Expected(number, fingerprint)
        with store.open(plan_name(number)) as file:
            for plan in read_plan(file):
                shard = plan["shard"][0].as_py()
                planned.add(shard)
                verdict.shards += 1
                if shard in there:
                    verdict.problems += [f"{shard}: {said}" for said in _shard(store, shard, plan, expected, verdict)]
                else:
                    verdict.missing += 1
                    verdict.problems.append(f"{shard}: planned, and there is no file: run the job again to finish it")
    if not verdict.problems and superseded(store):
        verdict.rows = {status: count for status, count in standing(store)[0].items() if count}
    verdict.problems += [f"{shard}: a file that no plan names" for shard in sorted(there - planned)]
    return verdict


@dataclass(frozen=True)
class _Expected:
    """What every file of a generation must agree with."""

    generation: int
    fingerprint: str
    """Of the output."""
    seen: Seen = field(default_factory=Seen)
    """Recordings of the containers that were looked at."""


def _shard(store: Store, shard: str, plan: pa.Table, expected: _Expected, verdict: Verdict) -> Iterator[str]:
    try:
        footer = read_footer(store, shard)
        with store.open(transcript_name(shard)) as file:
            table = pq.ParquetFile(file, pre_buffer=False).read()
    except (StoreError, pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, StoreError) and error.kind == UNREACHABLE:  # which says nothing about the file
            raise
        yield f"cannot be read: {error}"
        return
    stamp = footer.stamp
    if stamp.fingerprint != expected.fingerprint:
        yield (
            f"made by another model or with other options: fingerprint {stamp.fingerprint}, not {expected.fingerprint}"
        )
    if stamp.generation != expected.generation:
        yield f"written for generation {stamp.generation} of the plan, and it lies in generation {expected.generation}"
    if not table.schema.equals(TRANSCRIPT):
        yield "its columns are not those of the table"
        return
    if strange := set(table["status"].to_pylist()) - set(STATUSES):
        yield f"no such status: {', '.join(sorted(strange))}"
        return
    verdict.rows = dict(Counter(verdict.rows) + Counter(table["status"].to_pylist()))
    if describe(table, footer.stamp) != footer:
        yield "its rows are not what its footer counts"
    rows = table.to_pylist()
    yield from uncounted(plan, rows, expected.seen)
    yield from _frames(store, rows)
    for row in rows:
        yield from (f"{row['recording_id']}: {said}" for said in _row(row))


def _frames(store: Store, rows: Sequence[Row]) -> Iterator[str]:
    """Files of frames that rows name, and that are not there."""
    named = {str(name): row["recording_id"] for row in rows for name in _names(row["frame_files"])}
    there: set[str] = set()
    for folder in sorted({name.rpartition("/")[0] for name in named}):
        there |= {entry.uri for entry in store.names(folder)}
    yield from (f"{named[name]}: its frames in {name} are not there" for name in named if name not in there)


def _row(row: Row) -> Iterator[str]:
    """What a row must be by its status, and where its words may lie."""
    status, error = row["status"], row["error"]
    if (status in (FAILED, "skipped")) != (error is not None):
        yield f"its status is {status}, and {'it says why' if error else 'it does not say why'}"
    if status == OK and not any(row[name] for name in HELD):
        yield f"its status is ok, and it has none of {', '.join(HELD)}"
    segments = row["segments"]
    if isinstance(segments, list):
        yield from _times(segments, float(str(row["seconds"] or 0.0)))


def _times(segments: Sequence[Mapping[str, object]], seconds: float) -> Iterator[str]:
    words = [word for segment in segments for word in _list(segment["words"])]
    spans = [(_number(part["start"]), _number(part["end"])) for part in (*segments, *words)]
    if any(math.isnan(start) or math.isnan(end) or start > end for start, end in spans):
        yield "a word or a segment ends before it starts"
    if any(start < 0 or end > seconds + SLACK for start, end in spans):
        yield f"a word or a segment lies outside its {seconds:.2f} s"
    for name, parts in (("segments", segments), ("words", words)):
        if any(_number(left["start"]) > _number(right["start"]) for left, right in pairwise(parts)):
            yield f"its {name} do not follow one another in time"


def _names(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _list(value: object) -> list[Mapping[str, object]]:
    return value if isinstance(value, list) else []


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
