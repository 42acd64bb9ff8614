"""What cannot be done, and how it is said. Nothing heavy is imported here: a refusal should not wait for torch."""

import json
import logging
import traceback
from collections.abc import Sequence
from typing import TypeAlias

from jobs.exits import BROKEN, FAULT, HELD, UNFINISHED, UNUSABLE
from jobs.journal import journal
from jobs.options import Manner
from pipeline import log
from pipeline.lease import LeaseLost
from pipeline.storage import StoreError, scrub
from pipeline.stores.errors import UNREACHABLE
from pipeline.stores.s3_words import is_lost
from pipeline.unfinished import UnfinishedError

Problem: TypeAlias = str | StoreError
"""What is wrong, in the user's words; a `StoreError` where storage is what is wrong."""


class SetupError(Exception):
    """The job cannot start: every reason found, one a line."""

    def __init__(self, reasons: Sequence[Problem]) -> None:
        self.reasons = tuple(reasons)
        self.problems = tuple(scrub(str(reason)) for reason in reasons)
        super().__init__("\n".join(self.problems))

    @property
    def passing(self) -> bool:
        """Whether nothing is wrong but storage, which may answer a little later."""
        return bool(self.reasons) and all(map(_passing, self.reasons))


class OutputHeldError(SetupError):
    """Another run is writing to the output."""


def named(name: str, reason: Problem) -> Problem:
    """With the option that it is about."""
    said = f"{name}: {reason}"
    return StoreError(reason.kind, said) if isinstance(reason, StoreError) else said


def unhad(error: Exception) -> Problem:
    """Why a checkpoint cannot be had, or read."""
    lost = isinstance(error.__cause__, Exception) and is_lost(error.__cause__)
    return StoreError(UNREACHABLE, str(error)) if lost else str(error)


def refused(error: Exception, manner: Manner) -> int:
    """Say why it cannot be done, each reason on a line, for people or for programs."""
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
    return UNFINISHED if _passing(error) else UNUSABLE


def broken(error: Exception) -> int:
    """Tell where this program is at fault, where all else is told; the exit code."""
    log.tell("".join(traceback.format_exception(error)), level=logging.ERROR)
    log.tell(FAULT, level=logging.ERROR)
    return BROKEN


def reasons(error: Exception) -> tuple[str, ...]:
    """Each by itself, and without credentials."""
    return tuple(scrub(line) for line in (error.problems if isinstance(error, SetupError) else [str(error)]))


def _passing(wrong: Exception | str) -> bool:
    """Whether the same may work a little later, without anybody's help."""
    return isinstance(wrong, UnfinishedError) or (isinstance(wrong, SetupError | StoreError) and wrong.passing)
