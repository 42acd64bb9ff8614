"""An output as a run leaves it, made without an engine: every row is the test's own."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from pipeline.commit import GATHERED, Stamp, commit
from pipeline.output import Identity, add_generation, claim, record_run
from pipeline.plan import plan
from pipeline.planfile import read_plan, write_plan
from pipeline.schema import STATUSES
from pipeline.storage import Store

RUN = "20260102T030405Z-abcdef"
Row = Mapping[str, object]


def write_output(folder: Path, inputs: Sequence[Path], rows: Mapping[str, Row], options: Mapping[str, str]) -> str:
    """Plan the inputs, and commit a row for each file: `rows` says what is in it, by the file's stem."""
    store, identity = Store(str(folder)), Identity("models/small", None, "0" * 32, options)
    claim(store, identity)
    file = io.BytesIO()
    write_plan(plan([str(path) for path in inputs]), file)
    add_generation(store, 1, file.getvalue())
    counts = dict.fromkeys(STATUSES, 0)
    for planned in read_plan(file):
        shard, table = planned["shard"][0].as_py(), [_row(row, rows) for row in planned.to_pylist()]
        written = pa.Table.from_pylist(table, GATHERED)
        expected = frozenset((row["ordinal"], row["channel"]) for row in written.to_pylist())
        commit(store, shard, written, expected, Stamp(identity.fingerprint, RUN, 1))
        for status in written["status"].to_pylist():
            counts[status] += 1
    record_run(store, RUN, record(counts))
    return str(folder)


def record(counts: Mapping[str, int]) -> Row:
    """A run of 20 s that hears 30 s of audio each second, with a model that waits a quarter of its time."""
    course = [
        {"elapsed": 5.0 + t, "heard": 30.0 * t, "room": 33.0 * t, "busy": 0.75 * t, "idle": 0.25 * t,
         "reading": 0.5 * t, "queued": 3, "models": 1}
        for t in range(16)
    ]  # fmt: skip
    return {
        "run_id": RUN, "counts": counts, "audio_seconds": 450.0, "wall_seconds": 20.0, "padding": 0.1, "passes": 1,
        "readers": 1, "course": course,
    }  # fmt: skip


def words(*spoken: tuple[str, float, float, float]) -> list[Row]:
    """One segment of these words: text, start, end, confidence."""
    told = [{"word": w, "start": start, "end": end, "confidence": sure} for w, start, end, sure in spoken]
    ends = [told[0]["start"], told[-1]["end"]]
    text = " ".join(word for word, *_ in spoken)
    return [{"start": ends[0], "end": ends[1], "text": text, "confidence": 0.5, "words": told}]


def _row(planned: Row, rows: Mapping[str, Row]) -> Row:
    told = rows[Path(str(planned["uri"])).stem]
    kept = {name: planned[name] for name in ("ordinal", "recording_id", "uri")}
    return {"status": "ok", "channel": None, **kept, "model": "models/small", "run_id": RUN, **told}
