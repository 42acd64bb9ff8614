"""`steno align`: when each word of a known text is said, and what the text costs."""

from jobs.options_heads import Align
from jobs.work import Report, carry_out
from pipeline.aligning import Aligning
from pipeline.references import References
from pipeline.tally import Watch

__all__ = ["Align", "align"]


def align(options: Align, watch: Watch | None = None) -> Report:
    """Do what is planned and not done; `SetupError` says why nothing could start."""
    return carry_out(options, task(options), watch)


def task(options: Align) -> Aligning:
    """What is made of each batch."""
    return Aligning(References(options.references), options.longest_hours, options.delay_seconds)
