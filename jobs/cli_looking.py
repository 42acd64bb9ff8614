"""The commands of `steno` that look at an output, or at the machine, and change nothing."""

from typing import Annotated

from cyclopts import Parameter

from jobs.options import SWITCH, Manner
from jobs.options_looking import Reporting


def report_output(  # noqa: D417  # the options say what they are
    options: Annotated[Reporting, Parameter("*")],
    *,
    as_json: Annotated[bool, SWITCH, Parameter("--json")] = False,
    debug: Annotated[bool, SWITCH] = False,
) -> int:
    """Write one HTML page about an output: how it ran, what was heard, what failed, and the worst recordings.

    The page needs no network. It holds transcripts, and audio of the worst recordings where they lie on this machine:
    their words stand on a time line, and a click on one plays from there.

    Parameters
    ----------
    as_json
        Print JSON for a program: where the page is, and how large.
    debug
        Show the traceback of what went wrong.
    """
    from jobs import running

    return running.tell(options, Manner(as_json=as_json, debug=debug))
