"""Rows of a shard as they reach the commit."""

from collections.abc import Sequence

import pyarrow as pa

from pipeline.commit import GATHERED, Key, Stamp

STAMP = Stamp(fingerprint="f" * 16, run_id="run-1", generation=1)


def row(key: Key, run_id: str = STAMP.run_id) -> dict[str, object]:
    """One transcript, with every kind of column filled."""
    ordinal, channel = key
    word = {"word": "one", "start": 0.25, "end": 0.5, "confidence": 0.5}
    failed = ordinal % 10 == 9
    return {
        "ordinal": ordinal,
        "recording_id": f"clip-{ordinal}",
        "uri": f"s3://corpus/clip-{ordinal}.wav",
        "channel": channel,
        "seconds": 1.5,
        "status": "failed" if failed else "ok",
        "text": None if failed else "one",
        "confidence": 0.5,
        "segments": [{"start": 0.0, "end": 1.0, "text": "one", "confidence": 0.5, "words": [word]}],
        "labels": [{"label": "english", "score": 0.5}],
        "error": {"class": "Truncated", "stage": "audio", "message": "ends early"} if failed else None,
        "extra": '{"speaker": "7"}',
        "model": "tiny",
        "run_id": run_id,
    }


def rows(keys: Sequence[Key], run_id: str = STAMP.run_id) -> pa.Table:
    """A table of transcripts, as gathered."""
    return pa.Table.from_pylist([row(key, run_id) for key in keys], schema=GATHERED)


def census(count: int) -> list[Key]:
    """The keys of a shard of so many recordings."""
    return [(ordinal, None) for ordinal in range(count)]
