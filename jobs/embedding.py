"""`steno embed`: recordings as vectors, in the table, and their frames beside it."""

from jobs.options_heads import Embed
from jobs.work import Report, carry_out
from pipeline.embedding import Embedding, Frames
from pipeline.tally import Watch

__all__ = ["Embed", "embed"]


def embed(options: Embed, watch: Watch | None = None) -> Report:
    """Do what is planned and not done; `SetupError` says why nothing could start."""
    return carry_out(options, task(options), watch)


def task(options: Embed) -> Embedding:
    """What is made of each batch."""
    frames = Frames(options.output, options.layers, options.frame_dtype) if options.frames else None
    return Embedding(options.layer, frames)
