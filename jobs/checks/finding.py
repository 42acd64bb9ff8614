"""What a check found."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's."""

    about: str
    """What was looked at."""
    verdict: Verdict
    """`note` is worth knowing; `problem` must be mended before a job can run."""
    said: str
    """What was found."""
    remedy: str = ""
    """What to do about it."""


def fine(about: str, said: str) -> Finding:
    """As it should be."""
    return Finding(about, "ok", said)


def note(about: str, said: str, remedy: str = "") -> Finding:
    """Worth knowing."""
    return Finding(about, "note", said, remedy)


def problem(about: str, said: str, remedy: str) -> Finding:
    """In the way of a job."""
    return Finding(about, "problem", said, remedy)
