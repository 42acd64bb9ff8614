"""A few recordings of a plan, really read and really heard on this machine, against the clock."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from pipeline.audio import AudioRules, segments
from pipeline.batches import Ready, pack
from pipeline.bucketing import Buckets, batches
from pipeline.features import features
from pipeline.inference import Device, Listener
from pipeline.schema import Recording
from pipeline.sources import recordings
from pipeline.storage import StoreError

READING, HEARING = 3.0, 6.0
"""Seconds that are given to each."""
AT_LEAST = 2
"""Recordings that are read however long it takes: of one, nothing can be said about the others."""
INSIDE = 4
"""Recordings of a container that are read."""


@dataclass
class Measured:
    """What was found."""

    sizes: list[tuple[int, float]] = field(default_factory=list)
    """Bytes and seconds of every recording that was read."""
    read: float = 0.0
    """Seconds of audio that reading was timed on: not the first recording's, which waits for decoders to load."""
    reading: float = 0.0
    """Seconds it took to read, decode and compute features."""
    heard: float = 0.0
    """Seconds of audio that the model heard."""
    hearing: float = 0.0
    """Seconds it took."""
    loading: float = 0.0
    """Seconds it took to load the model."""


def measured(sample: Sequence[pa.Table], rules: AudioRules, buckets: Buckets, device: Device) -> Measured:
    """Read and hear some of these rows of a plan."""
    found, began = Measured(), time.monotonic()
    listener = Listener(device)
    found.loading = time.monotonic() - began
    ready = _read(sample, rules, listener, found)
    _hear(ready, buckets, listener, found)
    return found


def _read(sample: Sequence[pa.Table], rules: AudioRules, listener: Listener, found: Measured) -> list[Ready]:
    began = time.monotonic()
    held: list[Ready] = []
    for row in sample:
        start = time.monotonic()
        if len(found.sizes) >= AT_LEAST and start - began > READING:
            break
        warm = len(found.sizes)
        for recording in _recordings(row):
            pieces = list(features(segments(recording, rules), listener.model.frontend))
            seconds = sum(piece.seconds for piece in pieces)
            if seconds:
                found.sizes.append((_bytes(recording, row), seconds))
                held += pieces
        if warm:
            found.read += sum(seconds for _, seconds in found.sizes[warm:])
            found.reading += time.monotonic() - start
    return held


def _recordings(row: pa.Table) -> Iterator[Recording]:
    """The recording of a row, or the first of a container; none where storage fails."""
    try:
        for number, recording in enumerate(recordings(row)):
            if number >= INSIDE:
                return
            yield recording if recording.ordinal == number else replace(recording, ordinal=number)
    except StoreError:
        return


def _bytes(recording: Recording, row: pa.Table) -> int:
    if isinstance(recording.audio, bytes):
        return len(recording.audio)
    return int(row["bytes"][0].as_py() or 0)


def _hear(ready: Sequence[Ready], buckets: Buckets, listener: Listener, found: Measured) -> None:
    """In batches as a run makes them, shortest first, so that there is time for several; the first warms up."""
    made = sorted(batches(ready, buckets), key=lambda batch: sum(piece.seconds for piece in batch))
    began = time.monotonic()
    for number, batch in enumerate(made):
        start = time.monotonic()
        if found.heard and start - began > HEARING:
            return
        listener(pack(batch))
        if number or len(made) == 1:
            found.heard += sum(piece.seconds for piece in batch)
            found.hearing += time.monotonic() - start
