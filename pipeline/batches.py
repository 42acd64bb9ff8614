"""Segments as rows between the stages: keys that say whose they are, and one buffer of inputs for a batch.

A batch is one row, because the engine may split blocks of rows but never a row. Its clips lie end to end in the
buffer, so no padding travels. A census, which says how many recordings a shard turned out to have, rides as a key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.schema import ALIGNMENT, LABEL, WITHHELD, Failure, Segment

Inputs = npt.NDArray[np.float32]
Row = Mapping[str, object]

FAILURE = pa.struct([(name, pa.string()) for name in ("class", "stage", "message", "status")])
KEY = pa.struct(
    [
        ("shard", pa.string()),
        ("ordinal", pa.int32()),
        ("recording_id", pa.string()),
        ("uri", pa.string()),
        ("channel", pa.int32()),
        ("channels", pa.int32()),
        ("index", pa.int32()),
        ("last", pa.bool_()),
        ("start", pa.int64()),
        ("samples", pa.int64()),
        ("core_begin", pa.int64()),
        ("core_end", pa.int64()),
        ("total", pa.int64()),
        ("fresh", pa.int64()),
        ("reference", pa.string()),
        ("extra", pa.string()),
        ("failure", FAILURE),
        ("census", pa.int32()),
    ]
)
BATCH = pa.schema(
    [
        pa.field("keys", pa.list_(KEY), nullable=False),
        pa.field("lengths", pa.list_(pa.int64()), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("inputs", pa.large_binary(), nullable=False),
        pa.field("retries", pa.int32(), nullable=False),
        pa.field("reading", pa.float64(), nullable=False),
    ]
)
"""One batch. `width` is 0 for waveforms, else the features of a frame; a clip of length 0 is not heard.
`retries` is how often its reader asked storage again since the batch before, `reading` the seconds that it took."""

WORD = pa.struct(
    [
        ("word", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("confidence", pa.float32()),
        ("aligned", pa.bool_()),
        ("missing", pa.string()),
    ]
)
EFFORT = pa.struct(
    [
        ("heard", pa.int32()),
        ("busy", pa.float64()),
        ("idle", pa.float64()),
        ("splits", pa.int32()),
        ("retries", pa.int32()),
        ("reading", pa.float64()),
    ]
)
"""What a batch took: whether a model heard anything in it, 1 or 0; the seconds in which the device had it, and those in
which it waited for it; how often it was halved for want of memory; how often its reader asked storage again, and
the seconds that its reader took for it."""
HEARD = pa.schema(
    [
        pa.field("key", KEY, nullable=False),
        pa.field("text", pa.string()),
        pa.field("words", pa.list_(WORD)),
        pa.field("labels", pa.list_(LABEL)),
        pa.field("vector", pa.list_(pa.float32())),
        pa.field("weight", pa.int32()),
        pa.field("file", pa.string()),
        pa.field("units", pa.list_(pa.int32())),
        pa.field("alignment", pa.struct([("loss", pa.float64()), *ALIGNMENT])),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("padding", pa.float64(), nullable=False),
        pa.field("effort", EFFORT),
    ]
)
"""One segment as the model heard it: words at the recording's samples, and what hearing it cost. A batch's
effort stands with the first of its segments."""
FOLDED = "heard"
CROWDED = Failure(
    "OutOfMemory", "inference", "the device's memory does not hold it, though it is alone in its batch", WITHHELD
)
"""Of a segment that was alone and did not fit: in a later pass there may be room."""


@dataclass(frozen=True)
class Ready:
    """A segment whose features are computed, or a row that only passes through."""

    key: Row
    inputs: Inputs | None
    """(samples,) or (frames, width); None where there is nothing to hear."""
    seconds: float = 0.0
    """Of audio."""

    @property
    def nbytes(self) -> int:
        """Of its inputs."""
        return 0 if self.inputs is None else self.inputs.nbytes


def key(segment: Segment) -> Row:
    """What remains of a segment beside its samples. Its reference and extra travel with the first one only."""
    recording, failure, first = segment.recording, segment.failure, segment.index == 0
    return {
        "shard": recording.shard,
        "ordinal": recording.ordinal,
        "recording_id": recording.recording_id,
        "uri": recording.uri,
        "channel": segment.channel,
        "channels": segment.channels,
        "index": segment.index,
        "last": segment.last,
        "start": segment.start,
        "samples": len(segment.samples),
        "core_begin": segment.core[0],
        "core_end": segment.core[1],
        "total": segment.total,
        "fresh": segment.fresh,
        "reference": recording.reference if first else None,
        "extra": recording.extra if first else None,
        "failure": None if failure is None else told(failure),
    }


def told(failure: Failure) -> dict[str, str]:
    """A failure as a row's field."""
    return {"class": failure.kind, "stage": failure.stage, "message": failure.message, "status": failure.status}


def census(shard: str, recordings: int) -> Ready:
    """Says, once a shard is read to its end, how many recordings it has."""
    return Ready({"shard": shard, "census": recordings}, None)


def outage(shard: str, message: str) -> Ready:
    """Says that a shard could not be read for a reason that is not its own."""
    return Ready({"shard": shard, "failure": told(Failure("Outage", "sources", message))}, None)


def pack(batch: Sequence[Ready], retries: int = 0, reading: float = 0.0) -> pa.Table:
    """A batch as one row."""
    inputs = [np.empty(0, np.float32) if ready.inputs is None else ready.inputs for ready in batch]
    width = max((clip.shape[1] for clip in inputs if clip.ndim == 2), default=0)
    buffer = b"".join([np.ascontiguousarray(clip).data for clip in inputs])
    lengths = [len(clip) for clip in inputs]
    columns = [[[ready.key for ready in batch]], [lengths], [width], [buffer], [retries], [reading]]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, BATCH, strict=True)], schema=BATCH)


def clips(batch: pa.Table) -> list[Inputs]:
    """The inputs of a batch's clips, as views of its buffer."""
    lengths, width = batch["lengths"][0].as_py(), batch["width"][0].as_py()
    flat = np.frombuffer(batch["inputs"][0].as_buffer(), np.float32)
    shaped = flat.reshape(-1, width) if width else flat
    ends = np.cumsum(lengths)
    return [shaped[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def keys(batch: pa.Table) -> pa.Array:
    """The keys of a batch, one a row."""
    return batch["keys"].combine_chunks().flatten()


def folded(heard: pa.Table) -> pa.Table:
    """What was heard in a batch as one row, too: the engine splits blocks of rows, and pays for every block."""
    rows = heard.to_struct_array().combine_chunks()
    return pa.table({FOLDED: pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows)})


def unfolded(block: pa.Table) -> pa.Table:
    """The rows again."""
    rows = block[FOLDED].combine_chunks().flatten()
    return pa.Table.from_struct_array(rows).cast(HEARD)
