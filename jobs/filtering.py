"""`steno filter`: every row again, with what is suspicious about it. Nothing is removed, from nowhere.

The flagged table has a file per shard, each with the table's columns, `flags` and `measures`. It is written shard by
shard, and again the same by another run with the same limits.
"""

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.clipping import clipped, share, sorted_out
from jobs.destination import closed
from jobs.finished import Finished, opened
from jobs.laid import Laid, laid_by, read_laid
from jobs.options_filter import Filter
from jobs.pasting import duckdb
from jobs.plans import Plans, read_plans
from jobs.refusals import Problem, SetupError, named
from jobs.suspicion import FLAGS, MEASURES, flags, measured
from jobs.table import aligned
from pipeline.latest import by_shard
from pipeline.output import PARQUET
from pipeline.schema import TRANSCRIPT
from pipeline.storage import Store, StoreError

__all__ = ["Filter", "Filtered", "filter_rows"]

FLAGGED_MARK = "stenopool.flagged"
"""The key in a file's footer by which its like are known, and passed over where audio is looked for."""
FLAGGED = TRANSCRIPT.append(pa.field("flags", pa.list_(pa.string()), nullable=False)).append(
    pa.field("measures", MEASURES)
)
"""The columns of the flagged table."""


@dataclass
class Filtered:
    """How many rows are suspicious, and why."""

    output: str
    to: str
    note: str = ""
    """What a reader must know of an output that is not finished."""
    rows: int = 0
    flagged: int = 0
    """Rows with one flag or more."""
    seconds: float = 0.0
    """Of audio."""
    flagged_seconds: float = 0.0
    flags: dict[str, int] = field(default_factory=dict)
    """Rows by flag; a row may have several."""
    examples: dict[str, str] = field(default_factory=dict)
    """A recording of each flag."""
    unaligned: int = 0
    """Rows with a text that the output of steno align, where one was named, knows nothing of."""
    unheard: int = 0
    """Rows with a text whose clipping was asked for and could not be measured."""
    spared: int = 0
    """Rows whose clipping was asked for, and whose audio had killed or stalled its reader: it is not read again."""

    def text(self) -> str:
        """For people."""
        lines = [(name, f"{self.flags[name]:,}", self.examples[name]) for name in FLAGS if name in self.flags]
        clean = self.rows - self.flagged
        said = (
            f"{self.flagged:,} of {self.rows:,} rows are flagged ({self.flagged_seconds / 3600:.2f} of "
            f"{self.seconds / 3600:.2f} hours); {clean:,} have no flag."
        )
        unheard = f"The clipping of {self.unheard:,} rows is not known: their audio cannot be read any more."
        unaligned = f"Of {self.unaligned:,} rows with a text the alignment says nothing: they can earn no ctc_loss."
        spared = f"The audio of {self.spared:,} rows had killed or stalled its reader, and was not read again."
        doubts = [unaligned if self.unaligned else "", unheard if self.unheard else "", spared if self.spared else ""]
        query = duckdb(self.to, "WHERE len(flags) = 0")
        shown = [aligned([("flag", "rows", "for example"), *lines])] if lines else []
        told = [self.note, said, *shown, *doubts, f"All rows, with their flags:\n  {query}"]
        return "\n".join(filter(None, told))

    def record(self) -> dict[str, object]:
        """For programs."""
        return asdict(self)


def filter_rows(options: Filter) -> Filtered:
    """Write the flagged table; `SetupError` says why there is none."""
    found, target, alignment = _ready(options)
    laid = None if alignment is None else read_laid(alignment.store)
    plans = read_plans(found.store) if options.clipping else None
    told = Filtered(options.output, options.place, _notes(found, alignment))
    for shard, parts in groupby(by_shard(found.store), key=lambda each: each[0]):
        tables: Iterable[pa.Table] = (part for _, part in parts)
        heard: Mapping[str, list[float]] = {}
        if plans is not None:
            heard = _clipped(plans, shard, tables := list(tables), told)
        sink = io.BytesIO()
        with pq.ParquetWriter(sink, FLAGGED, compression="zstd") as writer:
            for table in _flagged(_beside(laid, tables, told), heard, options, told):
                if len(table):
                    writer.write_table(table)
            writer.add_key_value_metadata({FLAGGED_MARK: shard})
        target.put(f"{shard}{PARQUET}", sink.getvalue())
    return told


def _ready(options: Filter) -> tuple[Finished, Store, Finished | None]:
    problems, found, target, alignment = list[Problem](options.flaws()), None, None, None
    try:
        found = opened(options.output)
        if found.textless:
            problems.append(f"{options.output} holds {found.textless}, and no text to be suspicious of")
    except SetupError as error:
        problems += error.reasons
    try:
        alignment, wrong = (None, []) if options.alignment is None else laid_by(options.alignment)
        problems += wrong
    except SetupError as error:
        problems += [named("alignment", reason) for reason in error.reasons]
    try:
        target = Store(options.place)
        problems += list(_apart(options)) or ([] if problems else list(closed(target)))
    except StoreError as error:
        problems.append(named("to", error))
    if problems or found is None or target is None:
        raise SetupError(problems)
    return found, target, alignment


def _notes(found: Finished, alignment: Finished | None) -> str:
    of_that = f"Of the alignment: {alignment.note}" if alignment is not None and alignment.note else ""
    return "\n".join(filter(None, [found.note, of_that]))


def _beside(laid: Laid | None, parts: Iterable[pa.Table], told: Filtered) -> Iterator[pa.Table]:
    for part in parts:
        rows, missing = (part, 0) if laid is None else laid.beside(part)
        told.unaligned += missing
        yield rows


def _apart(options: Filter) -> Iterator[str]:
    output, to = Store(options.output).url.rstrip("/"), Store(options.place).url.rstrip("/")
    if to == output or any(f"{to}/".startswith(f"{output}/{part}/") for part in ("transcripts", "plan", "runs")):
        yield f"to is {options.place}: the table itself lies there; name a folder of its own"


def _clipped(plans: Plans, shard: str, tables: Iterable[pa.Table], told: Filtered) -> Mapping[str, list[float]]:
    """Of the recordings whose rows stand."""
    planned = plans.rows(shard)
    harmless, deadly = sorted_out(tables)
    told.spared += deadly
    return {} if planned is None else clipped(planned, harmless)


def _flagged(
    parts: Iterable[pa.Table], heard: Mapping[str, list[float]], options: Filter, told: Filtered
) -> Iterator[pa.Table]:
    for part in parts:
        rows = part.to_pylist()
        clips = [share(heard.get(row["recording_id"]), row["channel"]) for row in rows]
        found = [measured(row, clip) for row, clip in zip(rows, clips, strict=True)]
        raised = [flags(row, each, options) for row, each in zip(rows, found, strict=True)]
        _count(rows, raised, told)
        if options.clipping:
            told.unheard += sum(bool(row["text"]) and clip is None for row, clip in zip(rows, clips, strict=True))
        told_of = [pa.array(raised, FLAGGED.field("flags").type), pa.array([asdict(each) for each in found], MEASURES)]
        yield pa.table([*(part[name] for name in TRANSCRIPT.names), *told_of], schema=FLAGGED)


def _count(rows: list[dict[str, object]], raised: list[list[str]], told: Filtered) -> None:
    told.rows += len(rows)
    told.flags = dict(Counter(told.flags) + Counter(name for names in raised for name in names))
    for row, names in zip(rows, raised, strict=True):
        seconds = float(str(row["seconds"] or 0.0))
        told.seconds += seconds
        told.flagged += bool(names)
        told.flagged_seconds += seconds if names else 0.0
        for name in names:
            told.examples.setdefault(name, str(row["recording_id"]))
