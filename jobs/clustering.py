"""`steno units`: recordings as discrete units, by clusters or by a model's own codes."""

from jobs.options_heads import Units
from jobs.work import Report, carry_out
from pipeline.tally import Watch
from pipeline.units import Clusters, Codes, Every, Runs, Sample

__all__ = ["Units", "units"]


def units(options: Units, watch: Watch | None = None) -> Report:
    """Do what is planned and not done; `SetupError` says why nothing could start."""
    return carry_out(options, task(options), watch)


def task(options: Units) -> Clusters | Codes:
    """What is made of each batch."""
    written = Runs() if options.runs else Every()
    if options.codes:
        return Codes(written)
    return Clusters(options.output, options.layer, options.clusters, Sample(options.fit_minutes, options.seed), written)
