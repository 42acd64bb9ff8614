"""A job that looks at what is there, as the command line runs it: the result on stdout, and an exit code."""

import json
import sys
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from jobs.exits import FINE, INTERRUPTED
from jobs.options import Manner
from jobs.options_tables import Telling
from jobs.refusals import SetupError, refused
from pipeline.storage import StoreError


@runtime_checkable
class Judging(Protocol):
    """A result that decides what the command ends with."""

    @property
    def code(self) -> int:
        """The exit code."""


class Result(Protocol):
    """What such a job returns."""

    @property
    def note(self) -> str:
        """What must be known of an output that is not finished; nothing where it is."""

    def text(self) -> str:
        """For people."""

    def record(self) -> dict[str, object]:
        """For programs."""


def say(job: Callable[[], Result], telling: Telling) -> int:
    """Do it and print what it found; the exit code."""
    try:
        found = job()
    except (SetupError, StoreError) as error:
        return refused(error, Manner(as_json=telling.as_json, debug=telling.debug))
    except KeyboardInterrupt:
        print("steno: stopped. No output was changed.", file=sys.stderr)
        return INTERRUPTED
    print(json.dumps(found.record(), indent=2, ensure_ascii=False) if telling.as_json else found.text())
    if found.note and (telling.as_json or not sys.stdout.isatty()):  # a file has it; who typed the command has not
        print(f"steno: {found.note}", file=sys.stderr)
    return found.code if isinstance(found, Judging) else FINE
