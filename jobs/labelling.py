"""`steno label`: what a classifier says of recordings, or of windows of them."""

from jobs.options_heads import Label
from jobs.work import Report, carry_out
from pipeline.labelling import Labelling
from pipeline.tally import Watch

__all__ = ["Label", "label"]


def label(options: Label, watch: Watch | None = None) -> Report:
    """Do what is planned and not done; `SetupError` says why nothing could start."""
    return carry_out(options, task(options), watch)


def task(options: Label) -> Labelling:
    """What is made of each batch."""
    return Labelling(options.top, options.window_seconds, options.hop_seconds)
