"""Recordings that are objects of their own: audio files, and what manifests and tables name."""

from collections.abc import Iterator

import pyarrow as pa

from pipeline.inputs.rows import Row, unpacked
from pipeline.schema import Failure, Recording, Span
from pipeline.sources.fetch import fetched


def read(rows: pa.Table) -> Iterator[Recording]:
    """Yield the recordings of a shard's rows, fetched."""
    return fetched((planned(place, row, Span(row.uri)), row.bytes) for place, row in placed(rows))


def placed(rows: pa.Table) -> Iterator[tuple[tuple[str, int], Row]]:
    """Yield each row after its shard and its ordinal."""
    places = zip(rows["shard"].to_pylist(), rows["ordinal"].to_pylist(), strict=True)
    for place, (_, row) in zip(places, unpacked(rows), strict=True):
        yield place, row


def planned(place: tuple[str, int], row: Row, audio: Span | None) -> Recording:
    """The recording of a row of the plan."""
    error = row.error
    failure = Failure(error["class"], error["stage"], error["message"]) if error else None
    return Recording(
        *place,
        recording_id=row.recording_id or row.uri,
        uri=row.uri,
        audio=None if failure else audio,
        begin=row.begin or 0.0,
        duration=row.duration,
        channel=row.channel,
        reference=row.reference,
        extra=row.extra,
        failure=failure,
    )
