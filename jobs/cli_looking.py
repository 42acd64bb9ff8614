"""The commands of `steno` that look at an output, or at the machine, and change nothing."""

import sys
from typing import Annotated

from cyclopts import Parameter

from jobs.exits import UNUSABLE
from jobs.options import SWITCH, Manner
from jobs.options_looking import Doctor, Reporting

HERE = Doctor()
"""This machine alone."""


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


def examine_machine(  # noqa: D417  # the options say what they are
    options: Annotated[Doctor, Parameter("*")] = HERE,
    *,
    as_json: Annotated[bool, SWITCH, Parameter("--json")] = False,
    debug: Annotated[bool, SWITCH] = False,
) -> int:
    """Look at everything that a job needs, and say what to do about what is missing.

    The machine, its GPU, packages and caches; with `--model`, `--output` and `--address` also whether the checkpoint
    loads, the output can be written and the cluster answers. No secret is shown. Exit code 2 where a job would fail.

    Parameters
    ----------
    as_json
        Print JSON for a program.
    debug
        Show the traceback of what went wrong.
    """
    from jobs.checks.packages import missing

    if wrong := missing():  # without them nothing below could even be imported
        print(f"{wrong.verdict}  {wrong.about}  {wrong.said}\n         -> {wrong.remedy}", file=sys.stderr)
        return UNUSABLE
    from jobs import running

    return running.examine(options, Manner(as_json=as_json, debug=debug))
