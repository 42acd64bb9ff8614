"""An output of a test's own rows: any ids, any channels, in shards that are planned and done, or only planned.

Or of what readers find in inputs, with a text for each recording that they give.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from pipeline.commit import GATHERED, Stamp, commit
from pipeline.inputs.found import PlanRules
from pipeline.inputs.rows import Row, table
from pipeline.output import Identity, add_generation, claim
from pipeline.plan import DEFAULT, plan
from pipeline.planfile import write_plan
from pipeline.schema import Recording
from pipeline.sources import recordings
from pipeline.storage import Store

Told = Mapping[str, object]


def write_rows(
    where: str | Path,
    shards: Mapping[str, Sequence[Told]],
    *,
    unfinished: Sequence[str] = (),
    options: Mapping[str, str] | None = None,
) -> str:
    """Each shard's rows, of which those of one recording stand together; a row's `begin` goes into the plan."""
    store, identity, file = Store(str(where)), Identity("model", None, "weights", options or {}), io.BytesIO()
    claim(store, identity)
    plans = {**shards, **{name: [{"recording_id": f"{name}/lost"}] for name in unfinished}}
    write_plan((table(name, "audio", _planned(rows)) for name, rows in sorted(plans.items())), file)
    add_generation(store, 1, file.getvalue())
    for name, rows in shards.items():
        ordinals = {each: number for number, each in enumerate(dict.fromkeys(str(row["recording_id"]) for row in rows))}
        full = [_full(row, ordinals[str(row["recording_id"])]) for row in rows]
        written = pa.Table.from_pylist(full, GATHERED)
        keys = {(row["ordinal"], row["channel"]) for row in written.to_pylist()}
        commit(store, name, written, keys, Stamp(identity.fingerprint, "run", 1))
    return str(where)


def write_read(where: str | Path, *inputs: Path, rules: PlanRules = DEFAULT) -> str:
    """Each input planned as a run would, and read; a recording's text is its id."""
    store, identity, file = Store(str(where)), Identity("model", None, "weights"), io.BytesIO()
    claim(store, identity)
    planned = list(plan([str(each) for each in inputs], rules))
    write_plan(planned, file)
    add_generation(store, 1, file.getvalue())
    for shard in planned:
        found = [_read(each) for each in recordings(shard)]
        written = pa.Table.from_pylist(found, GATHERED)
        keys = {(row["ordinal"], row["channel"]) for row in written.to_pylist()}
        commit(store, shard["shard"][0].as_py(), written, keys, Stamp(identity.fingerprint, "run", 1))
    return str(where)


def words(*said: tuple[str, float, float]) -> list[Told]:
    """One segment of these words."""
    told = [{"word": word, "start": start, "end": end, "confidence": 0.75} for word, start, end in said]
    text = " ".join(word for word, *_ in said)
    return [{"start": said[0][1], "end": said[-1][2], "text": text, "confidence": 0.5, "words": told}]


def _read(recording: Recording) -> Told:
    seconds, name = recording.duration or 1.0, recording.recording_id
    row: dict[str, object] = {"recording_id": name, "uri": recording.uri, "channel": recording.channel}
    if why := recording.failure:
        failed = {"class": why.kind, "stage": why.stage, "message": why.message}
        return _full({**row, "status": why.status, "error": failed}, recording.ordinal)
    return _full({**row, "seconds": seconds, "segments": words((name, 0.0, seconds))}, recording.ordinal)


def _planned(rows: Sequence[Told]) -> list[Row]:
    each = {str(row["recording_id"]): row for row in rows}
    return [Row(name, str(row.get("uri", f"audio/{name}")), begin=row.get("begin")) for name, row in each.items()]  # type: ignore[arg-type]


def _full(row: Told, ordinal: int) -> Told:
    segments = row.get("segments")
    text = " ".join(str(part["text"]) for part in segments) if isinstance(segments, list) else None
    usual = {"uri": f"audio/{row['recording_id']}", "seconds": 10.0, "status": "ok" if text else "empty", "text": text}
    told = {name: value for name, value in row.items() if name != "begin"}
    return {**usual, "ordinal": ordinal, "model": "model", "run_id": "run", **told}
