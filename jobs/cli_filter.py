"""The command of `steno` that flags suspicious rows."""

from typing import Annotated

from cyclopts import Parameter

from jobs.options_filter import Filter
from jobs.options_tables import PLAINLY, Telling


def flag_rows(options: Annotated[Filter, Parameter("*")], telling: Annotated[Telling, Parameter("*")] = PLAINLY) -> int:
    """Flag what is suspicious: every row is written again with its flags and measures, and none is removed.

    A row without flags has an empty list. Rows that failed or were skipped carry that as their flag. With --clipping
    the audio is read again; everything else is known from the table.
    """
    from jobs import filtering, saying

    return saying.say(lambda: filtering.filter_rows(options), telling)
