"""Every row that travels, and every column's name.

Times are whole samples at the model's rate until the last table, where they are divided once.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.stores.errors import scrub

Samples = npt.NDArray[np.float32]

OK, EMPTY, SKIPPED, FAILED = "ok", "empty", "skipped", "failed"
STATUSES = (OK, EMPTY, SKIPPED, FAILED)
"""How a recording can end: read, without speech, left out by a stated rule, or not readable."""


WITHHELD = "withheld"
"""Of a failure that is no verdict yet, and no row: in a later pass it may not be met again."""


@dataclass(frozen=True)
class Failure:
    """Why a recording has no transcript."""

    kind: str
    """The class of the error, a word to group by: `Truncated`, `NotFound`, `Crashed`."""
    stage: str
    """Where it happened: plan, sources, audio, features, inference."""
    message: str
    """What was wrong, in the user's words, without credentials."""
    status: str = FAILED
    """`failed`, `skipped` where a rule of the user's left it out, or `withheld`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", scrub(self.message))


@dataclass(frozen=True)
class Span:
    """A part of an object in storage."""

    uri: str
    begin: int = 0
    """First byte."""
    end: int | None = None
    """One past the last byte; None is the object's end."""


@dataclass(frozen=True)
class Recording:
    """One recording on its way to the decoder."""

    shard: str
    ordinal: int
    """Its place in the shard: with the shard's name, the key of everything that is made of it."""
    recording_id: str
    """What the user calls it; unique in a run."""
    uri: str
    """Where it was read, for the table: no credentials."""
    audio: bytes | Span | None
    """The encoded audio, or where to stream it from when it is large; None where it failed."""
    begin: float = 0.0
    """Seconds into the audio where it starts."""
    duration: float | None = None
    """Seconds of it; None is all that follows."""
    channel: int | None = None
    """The one channel that the input asks for, or None for the run's rule."""
    reference: str | None = None
    """What was said, where the input knows."""
    extra: str | None = None
    """Columns of the input that are not known here, as a JSON object."""
    failure: Failure | None = None


@dataclass(frozen=True)
class Segment:
    """What the model hears at once: a whole recording, or a piece of a long one."""

    recording: Recording
    """Without its audio."""
    channel: int | None
    """0, 1, ... where channels are read apart; None where they are mixed."""
    channels: int
    """How many rows the recording makes: one, or its channels."""
    index: int
    """Its place among the recording's segments in this channel."""
    last: bool
    """Whether it is the last one."""
    start: int
    """The sample of the recording at which its samples begin."""
    core: tuple[int, int]
    """Samples of the recording that it answers for; the rest is context."""
    total: int
    """Samples of the recording so far; of the whole recording where `last`."""
    fresh: int
    """How many of these are counted in no segment before: windows overlap."""
    samples: Samples = field(repr=False)
    """At the model's rate; empty where it failed, and where nothing can be heard: digital silence."""
    failure: Failure | None = None


ERROR = pa.struct([("class", pa.string()), ("stage", pa.string()), ("message", pa.string())])
WORD = pa.struct(
    [
        ("word", pa.string()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("confidence", pa.float32()),
        ("aligned", pa.bool_()),
        ("missing", pa.string()),
    ]
)
"""The last two are for words of a reference text. `aligned` is false where no token spells the word, so that its times
are shared out between its neighbours. `missing` are its characters that no token spells, null for none: a word is
aligned by the others."""
LABEL = pa.struct([("label", pa.string()), ("score", pa.float32())])
SEGMENT = pa.struct(
    [
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("text", pa.string()),
        ("confidence", pa.float32()),
        ("words", pa.list_(WORD)),
        ("labels", pa.list_(LABEL)),
    ]
)
ALIGNMENT = pa.struct(
    [
        ("verdict", pa.string()),
        ("heard", pa.int32()),
        ("expected", pa.int32()),
        ("coverage", pa.float32()),
        ("exact", pa.bool_()),
    ]
)
"""How a reference text matches its audio: `fits`, `text is longer`, `text is shorter`, or `no room` for its tokens.
Behind that: the tokens that the model reads by itself, those of the text, the share of the first that falls inside the
text's words, and whether the alignment is proven to be the best."""

TRANSCRIPT = pa.schema(
    [
        pa.field("recording_id", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("channel", pa.int32()),
        pa.field("seconds", pa.float64()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("confidence", pa.float32()),
        pa.field("language", pa.string()),
        pa.field("segments", pa.list_(SEGMENT)),
        pa.field("labels", pa.list_(LABEL)),
        pa.field("embedding", pa.list_(pa.float32())),
        pa.field("frame_files", pa.list_(pa.string())),
        pa.field("units", pa.list_(pa.int32())),
        pa.field("unit_frames", pa.list_(pa.int32())),
        pa.field("reference", pa.string()),
        pa.field("wer", pa.float64()),
        pa.field("cer", pa.float64()),
        pa.field("ctc_loss", pa.float64()),
        pa.field("alignment", ALIGNMENT),
        pa.field("error", ERROR),
        pa.field("extra", pa.string()),
        pa.field("model", pa.string(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
    ]
)
"""The one table that users hold."""

PLAN = pa.schema(
    [
        pa.field("shard", pa.string(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("ordinal", pa.int32(), nullable=False),
        pa.field("recording_id", pa.string()),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("begin_byte", pa.int64()),
        pa.field("end_byte", pa.int64()),
        pa.field("row_group", pa.int32()),
        pa.field("begin", pa.float64()),
        pa.field("duration", pa.float64()),
        pa.field("channel", pa.int32()),
        pa.field("bytes", pa.int64()),
        pa.field("version", pa.string()),
        pa.field("reference", pa.string()),
        pa.field("extra", pa.string()),
        pa.field("error", ERROR),
    ]
)
"""What there was to read. A row is a recording, or, with a null `recording_id`, a container (a tar, a Parquet row
group) whose recordings are known only when it is read. Rows of a shard stand together."""
