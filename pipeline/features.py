"""Segments to what the model reads, on a CPU and without the model's weights."""

from collections.abc import Iterable, Iterator

from models.frontend import Frontend
from pipeline.batches import Ready, key, told
from pipeline.schema import Failure, Segment

STAGE = "features"


def features(segments: Iterable[Segment], frontend: Frontend) -> Iterator[Ready]:
    """Yield each segment with its inputs, or without any where there is nothing to hear."""
    for segment in segments:
        yield _ready(segment, frontend)


def _ready(segment: Segment, frontend: Frontend) -> Ready:
    if segment.failure is not None or not len(segment.samples):
        return Ready(key(segment), None)
    padded = frontend([segment.samples])
    refusal = padded.refusals[0]
    if refusal is not None:
        failure = Failure("NotFinite", STAGE, f"segment {segment.index}: {refusal}")
        return Ready({**key(segment), "failure": told(failure)}, None)
    if not int(padded.lengths[0]):
        return Ready(key(segment), None)
    return Ready(key(segment), padded.inputs[0].numpy(), len(segment.samples) / frontend.sample_rate)
