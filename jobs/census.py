"""A shard's rows against what the plan says of it: everything once.

A shard of loose recordings must hold exactly what the plan names, in its order. A container's recordings are known
only to who read it: its file must hold rows of that container alone, none that another file of the generation holds,
and as many as the planner saw where it looked.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import pyarrow as pa

from pipeline.inputs.containers import ROWS
from pipeline.inputs.rows import key
from pipeline.inputs.seen import Seen
from pipeline.reckoning import REST as NUMBERED
from pipeline.schema import FAILED

REST = re.compile(rf"/tail$|{NUMBERED.pattern}")
"""How a failed row is called that stands for all that could not be read of a container, or of a part of it."""

Row = Mapping[str, object]


def uncounted(plan: pa.Table, rows: Sequence[Row], seen: Seen) -> Iterator[str]:
    """What is not there once; `seen` are the recordings of the generation's containers that were looked at before."""
    channels: Counter[tuple[object, object]] = Counter((row["recording_id"], row["channel"]) for row in rows)
    yield from (f"{name}: there {times} times" for (name, _), times in channels.items() if times > 1)
    if plan["recording_id"].null_count:
        yield from _contained(plan.slice(0, 1).to_pylist()[0], rows, seen)
    else:
        yield from _named(plan["recording_id"].to_pylist(), rows)


def _named(planned: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """Each recording once, or each of its channels."""
    found = [str(name) for name, _ in groupby(row["recording_id"] for row in rows)]
    if found == planned:
        return
    there, wanted = set(found), set(planned)
    missing, strange = [name for name in planned if name not in there], sorted(there - wanted)
    yield from (f"{name}: planned, and not in the table" for name in missing)
    yield from (f"{name}: in the table, and not planned" for name in strange)
    if not missing and not strange:
        yield "its recordings are not in the order of the plan"


def _contained(box: Row, rows: Sequence[Row], seen: Seen) -> Iterator[str]:
    own = [row for row in rows if _lies_in(row, str(box["uri"]))]
    if strange := [row["uri"] for row in rows if not _lies_in(row, str(box["uri"]))]:
        yield f"{len(strange):,} of its rows are of another input ({strange[0]}, say) than its own, {box['uri']}"
    names = list(dict.fromkeys(str(row["recording_id"]) for row in own if not _rest(row)))
    fresh = seen.take([key(name) for name in names])
    if again := [name for name, new in zip(names, fresh, strict=True) if not new]:
        yield f"{len(again):,} of its recordings are in another file, too: {again[0]}, say"
    promised, found = json.loads(str(box["extra"] or "{}")).get(ROWS, 0), len({row["recording_id"] for row in rows})
    if found < promised and not _rest(rows[-1] if rows else {}):  # more are right: it may have grown since
        yield f"it holds {found:,} recordings, and {promised:,} were planned"


def _lies_in(row: Row, container: str) -> bool:
    uri = str(row["uri"])
    return uri == container or uri.startswith(f"{container}#")


def _rest(row: Row) -> bool:
    return row.get("status") == FAILED and REST.search(str(row.get("recording_id"))) is not None
