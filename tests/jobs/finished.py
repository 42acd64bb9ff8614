"""Finished outputs for the jobs that work on them, written row by row."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from pipeline.commit import GATHERED, Stamp, commit
from pipeline.output import Identity, add_generation, claim
from pipeline.planfile import write_plan
from pipeline.schema import PLAN
from pipeline.storage import Store

Row = dict[str, object]
IDENTITY = Identity("model", None, "weights")
STEP = 0.5
"""Seconds from word to word."""


def spoken(name: str, text: str, **changed: object) -> Row:
    """A row with a word every half second, in one segment."""
    words = [
        {"word": word, "start": index * STEP, "end": index * STEP + 0.4, "confidence": 0.9}
        for index, word in enumerate(text.split())
    ]
    end = words[-1]["end"] if words else 0.0
    segment = {"start": 0.0, "end": end, "text": text, "confidence": 0.9, "words": words}
    row: Row = {
        **{"recording_id": name, "uri": f"/corpus/{name}", "seconds": max(1.0, STEP * len(words)), "confidence": 0.9},
        **{"status": "ok" if words else "empty", "text": text, "segments": [segment] if words else []},
    }
    return row | changed


def failed(name: str, **changed: object) -> Row:
    """A row of a recording that could not be read."""
    error = {"class": "NotAudio", "stage": "audio", "message": "no audio"}
    return {"recording_id": name, "uri": f"/corpus/{name}", "status": "failed", "error": error} | changed


def write_output(
    folder: Path | str, shards: Sequence[Sequence[Mapping[str, object]]], missing: int = 0, job: str | None = None
) -> str:
    """An output of these shards, and of some that are planned and not there."""
    store, file = Store(str(folder)), io.BytesIO()
    claim(store, replace(IDENTITY, options={"job": job}) if job else IDENTITY)
    names = [f"000001-{number:06}-x" for number in range(len(shards) + missing)]
    plans = [
        {"shard": name, "format": "audio", "ordinal": 0, "recording_id": f"of {name}", "uri": "/x"} for name in names
    ]
    write_plan([pa.Table.from_pylist([plan], PLAN) for plan in plans], file)
    add_generation(store, 1, file.getvalue())
    for name, rows in zip(names, shards, strict=False):
        ordinals: dict[object, int] = {}
        full = [
            {
                "ordinal": ordinals.setdefault(row["recording_id"], len(ordinals)),
                "model": "model",
                "run_id": "run",
                **row,
            }
            for row in rows
        ]
        keys = [(ordinals[row["recording_id"]], row.get("channel")) for row in rows]
        commit(store, name, pa.Table.from_pylist(full, GATHERED), keys, Stamp(IDENTITY.fingerprint, "run", 1))  # type: ignore[arg-type]
    return store.url
