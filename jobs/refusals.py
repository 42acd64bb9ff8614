"""What cannot be done, and how it is said. Nothing heavy is imported here: a refusal should not wait for torch."""

import json
import logging
import traceback

from jobs.exits import HELD, UNFINISHED, UNUSABLE
from jobs.journal import journal
from jobs.options import Manner
from pipeline import log
from pipeline.lease import LeaseLost
from pipeline.storage import StoreError, scrub
from pipeline.unfinished import UnfinishedError


class SetupError(Exception):
    """The job cannot start: every reason found, one a line."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(map(scrub, problems))
        super().__init__("\n".join(self.problems))


class OutputHeldError(SetupError):
    """Another run is writing to the output."""


def refused(error: Exception, manner: Manner, *, under_way: bool = False) -> int:
    """Say why it cannot be done, each reason on a line, for people or for programs.

    A store that does not answer is one that cannot be used, unless it did when the work was begun.
    """
    problems = reasons(error)
    if manner.as_json:
        print(json.dumps({"problems": problems}, indent=2))
    with journal(manner):
        if manner.debug:
            log.tell("".join(traceback.format_exception(error)), level=logging.ERROR)
        for problem in problems:
            log.tell(problem, level=logging.ERROR)
    if isinstance(error, OutputHeldError | LeaseLost):
        return HELD
    passing = isinstance(error, UnfinishedError) or (under_way and isinstance(error, StoreError) and error.passing)
    return UNFINISHED if passing else UNUSABLE


def reasons(error: Exception) -> tuple[str, ...]:
    """Each by itself, and without credentials."""
    return tuple(scrub(line) for line in (error.problems if isinstance(error, SetupError) else [str(error)]))
