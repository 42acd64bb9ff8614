"""A job on a finished output, as the command line runs it: the result on stdout, and an exit code."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Protocol

from jobs.exits import FAILED_ROWS, FINE, INTERRUPTED
from jobs.options import Manner, Verify
from jobs.options_tables import Telling
from jobs.refusals import SetupError, refused
from jobs.verify import verify
from pipeline.storage import StoreError


class Result(Protocol):
    """What such a job returns."""

    @property
    def note(self) -> str:
        """What must be known of an output that is not finished; nothing where it is."""

    def text(self) -> str:
        """For people."""

    def record(self) -> dict[str, object]:
        """For programs."""


def check(options: Verify, manner: Manner) -> int:
    """Verify an output; the exit code."""
    try:
        verdict = verify(options)
    except (SetupError, StoreError) as error:
        return refused(error, manner)
    print(json.dumps({**asdict(verdict), "whole": verdict.whole}, indent=2) if manner.as_json else verdict.text())
    return FINE if verdict.whole else FAILED_ROWS


def say(job: Callable[[], Result], telling: Telling) -> int:
    """Do it and print what it found; the exit code."""
    try:
        found = job()
    except (SetupError, StoreError) as error:
        return refused(error, Manner(as_json=telling.as_json, debug=telling.debug))
    except KeyboardInterrupt:
        print("steno: stopped. Nothing of the output was changed.", file=sys.stderr)
        return INTERRUPTED
    print(json.dumps(found.record(), indent=2, ensure_ascii=False) if telling.as_json else found.text())
    if found.note and (telling.as_json or not sys.stdout.isatty()):  # a file has it; who typed the command has not
        print(f"steno: {found.note}", file=sys.stderr)
    return FINE
