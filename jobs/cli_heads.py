"""The commands of `steno` that ask a model for something else than text."""

from typing import Annotated

from cyclopts import Parameter

from jobs.options import AS_USUAL, Manner
from jobs.options_heads import Label


def label_inputs(
    options: Annotated[Label, Parameter("*")], manner: Annotated[Manner, Parameter("*")] = AS_USUAL
) -> int:
    """Label recordings with a classifier: the best labels with their scores, in the table's column `labels`.

    A long recording is labelled in pieces, whose scores are averaged by their seconds. With `--window-seconds 2
    --hop-seconds 1` every window becomes an entry of the column `segments` with its start, end and labels. Several
    labels may hold at once where the checkpoint says so; a regression gives all its values, in its own order.
    """
    from jobs import labelling, running

    return running.run(options, labelling.task(options), manner)
