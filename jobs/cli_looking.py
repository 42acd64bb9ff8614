"""The commands of `steno` that look at an output, a checkpoint or the machine, and change nothing."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from jobs.exits import UNUSABLE
from jobs.options import Verify
from jobs.options_looking import Describe, Doctor, Reporting
from jobs.options_tables import PLAINLY, Telling

HERE, KNOWN = Doctor(), Describe()
"""This machine alone, and every architecture."""


def report_output(
    options: Annotated[Reporting, Parameter("*")], telling: Annotated[Telling, Parameter("*")] = PLAINLY
) -> int:
    """Write one HTML page about an output: how it ran, what was heard, what failed, and the worst recordings.

    The page needs no network. It holds transcripts, and audio of the worst recordings where they lie on this machine:
    their words stand on a time line, and a click on one plays from there.
    """
    from jobs import reporting, saying

    return saying.say(lambda: reporting.report(options), telling)


def verify_output(
    options: Annotated[Verify, Parameter("*")], telling: Annotated[Telling, Parameter("*")] = PLAINLY
) -> int:
    """Check an output: everything planned is there once, made by one model, and its times make sense.

    Exit code 1 means that it is not whole: run its job again, or look at what is named.
    """
    from jobs import saying, verifying

    return saying.say(lambda: verifying.verify(options), telling)


def describe_checkpoint(
    options: Annotated[Describe, Parameter("*")] = KNOWN, telling: Annotated[Telling, Parameter("*")] = PLAINLY
) -> int:
    """Say what a checkpoint is, and how fast it is here; without REF, list the architectures that can be read.

    The checkpoint is loaded, so what does not fit is found, and every problem is named at once.
    """
    from jobs import describing, saying

    return saying.say(lambda: describing.told(options), telling)


def examine_machine(
    options: Annotated[Doctor, Parameter("*")] = HERE, telling: Annotated[Telling, Parameter("*")] = PLAINLY
) -> int:
    """Look at everything that a job needs, and say what to do about what is missing.

    The machine, its GPU, packages and caches; with `--model`, `--output` and `--address` also whether the checkpoint
    loads, the output can be written and the cluster answers. No secret is shown. Exit code 2 where a job would fail.
    """
    from jobs.checks.packages import missing

    if wrong := missing():  # without them nothing below could even be imported
        if telling.as_json:
            print(json.dumps({"healthy": False, "findings": [asdict(wrong)]}, indent=2))
        print(f"{wrong.verdict}  {wrong.about}  {wrong.said}\n         -> {wrong.remedy}", file=sys.stderr)
        return UNUSABLE
    from jobs import checkup, saying

    return saying.say(lambda: checkup.doctor(options), telling)
