"""A few recordings of a plan, really read and really heard on this machine, against the clock.

Nothing of it is kept: a task that writes beside the table is rehearsed. Recordings are decoded in a process of their
own, so that one that kills or stalls its decoder costs itself and not the forecast.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice

import pyarrow as pa

from pipeline.apart import FALLEN, Decoder
from pipeline.audio import AudioRules
from pipeline.batches import Ready, pack
from pipeline.bucketing import Buckets, batches
from pipeline.embedding import Embedding
from pipeline.features import features
from pipeline.inference import Device, Listener
from pipeline.schema import Recording, Segment
from pipeline.sources import recordings
from pipeline.storage import StoreError
from pipeline.tasks import Task
from pipeline.units import Clusters

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
    """Bytes and seconds of every recording that was read: as long as it is, however often it is heard."""
    times: float = 1.0
    """Seconds that models hear for each of these: channels that are read apart, pieces that overlap."""
    read: float = 0.0
    """Seconds of audio that reading was timed on: none that waited for a decoder to load, or for one that fell."""
    reading: float = 0.0
    """Seconds it took to read, decode and compute features."""
    heard: float = 0.0
    """Seconds that the model heard."""
    hearing: float = 0.0
    """Seconds it took."""
    loading: float = 0.0
    """Seconds it took to load the model."""


def measured(sample: Sequence[pa.Table], rules: AudioRules, buckets: Buckets, device: Device) -> Measured:
    """Read and hear some of these rows of a plan."""
    found, began = Measured(), time.monotonic()
    listener = Listener(replace(device, task=_rehearsed(device.task)))
    found.loading = time.monotonic() - began
    ready = _read(sample, rules, listener, found)
    _hear(ready, buckets, listener, found)
    return found


def _rehearsed(task: Task) -> Task:
    return task.rehearsed() if isinstance(task, Embedding | Clusters) else task


def _read(sample: Sequence[pa.Table], rules: AudioRules, listener: Listener, found: Measured) -> list[Ready]:
    began, loaded = time.monotonic(), False
    held: list[Ready] = []
    with closing(Decoder(rules)) as decoder:
        for row in sample:
            start, known = time.monotonic(), len(found.sizes)
            if known >= AT_LEAST and start - began > READING:
                break
            fell = False
            for recording in _recordings(row):
                pieces = list(features(_decoded(recording, decoder), listener.model.frontend))
                if seconds := _samples(pieces) / rules.sample_rate:
                    found.sizes.append((_bytes(recording, row), seconds))
                fell |= any(map(_fell, pieces))
                held += [piece for piece in pieces if piece.inputs is not None]
            if loaded and not fell:
                found.read += sum(seconds for _, seconds in found.sizes[known:])
                found.reading += time.monotonic() - start
            loaded = not fell
    if long := sum(seconds for _, seconds in found.sizes):
        found.times = sum(piece.seconds for piece in held) / long
    return held


def _recordings(row: pa.Table) -> Iterator[Recording]:
    """The recording of a row, or the first of a container; none where storage fails."""
    try:
        yield from islice(recordings(row), INSIDE)
    except StoreError:
        return


def _decoded(recording: Recording, decoder: Decoder) -> Iterator[Segment]:
    """Its segments when there are no more to come: a reader of a run does nothing while it decodes."""
    held = deque(decoder.segments(recording))
    while held:
        yield held.popleft()


def _samples(pieces: Sequence[Ready]) -> int:
    """Of the recording that they are of; all its channels are as long."""
    return max(int(str(piece.key["total"])) for piece in pieces)


def _fell(piece: Ready) -> bool:
    """Whether it took its decoder with it, so that the next one waits for another."""
    failure = piece.key["failure"]
    return isinstance(failure, dict) and failure["class"] in FALLEN


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
        heard = listener(pack(batch))
        if number or len(made) == 1:
            found.heard += sum(heard["seconds"].to_pylist())
            found.hearing += time.monotonic() - start
