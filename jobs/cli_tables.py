"""The commands of `steno` that work on a finished output."""

from typing import Annotated

from cyclopts import Parameter

from jobs.options_tables import PLAINLY, Score, Telling


def score_output(
    options: Annotated[Score, Parameter("*")], telling: Annotated[Telling, Parameter("*")] = PLAINLY
) -> int:
    """Hold the texts of an output against what was said: word and character error rates, the worst recordings first.

    Errors are the fewest substitutions, deletions and insertions that turn the reference into what was read; a rate is
    errors over what the reference has. Rows that were not read (failed, skipped) are counted apart. What both sides
    went through is named beside the figures.
    """
    from jobs import saying, scoring

    return saying.say(lambda: scoring.score(options), telling)
