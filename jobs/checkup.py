"""`steno doctor`: everything a job needs, looked at before one is started, each with what to do about it.

All checks run at once, and none is waited for longer than it may take: what hangs is a finding like any other.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

from jobs.checks.engine import engine
from jobs.checks.finding import Finding, problem
from jobs.checks.machine import devices, machine
from jobs.checks.packages import packages
from jobs.checks.places import caches, checkpoint, storage
from jobs.exits import FINE, UNUSABLE
from jobs.options_looking import Doctor
from jobs.setup import SetupError
from jobs.table import aligned

__all__ = ["Checkup", "Doctor", "doctor"]

Check = Callable[[], Iterator[Finding]]
Found = queue.SimpleQueue[list[Finding]]
GRACE = 5.0
"""Seconds that a check which keeps its own time has to say so."""


@dataclass(frozen=True)
class Checkup:
    """What was found, in the order of the checks."""

    findings: tuple[Finding, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is in the way of a job."""
        return all(finding.verdict != "problem" for finding in self.findings)

    @property
    def code(self) -> int:
        """That the command ends with."""
        return FINE if self.healthy else UNUSABLE

    @property
    def note(self) -> str:
        """Nothing that must be known beside it."""
        return ""

    def record(self) -> dict[str, object]:
        """For programs."""
        return {"healthy": self.healthy, **asdict(self)}

    def text(self) -> str:
        """For people."""
        lines = aligned([(f.verdict, f.about, f.said) for f in self.findings]).splitlines()
        told = zip(lines, self.findings, strict=True)
        shown = [part for line, f in told for part in (line, *([f"         -> {f.remedy}"] if f.remedy else []))]
        wrong = sum(finding.verdict == "problem" for finding in self.findings)
        said = "Nothing is in the way of a job." if self.healthy else f"{wrong} in the way of a job."
        return "\n".join([*shown, "", said])


def doctor(options: Doctor) -> Checkup:
    """Look at everything; `SetupError` where the options make no sense."""
    if flaws := options.flaws():
        raise SetupError(flaws)
    ends = time.monotonic() + options.patience
    started = {name: _started(name, check) for name, check in _asked(options)}
    return Checkup(tuple(finding for name, found in started.items() for finding in _told(name, found, ends, options)))


def _asked(options: Doctor) -> Iterator[tuple[str, Check]]:
    """What there is to look at."""
    yield from {"machine": machine, "GPU": devices, "packages": packages, "caches": caches}.items()
    if options.model is not None:
        yield "model", partial(checkpoint, options.model)
    if options.output is not None:
        yield "output", partial(storage, options.output)
    yield "Ray", partial(engine, options.address, options.patience)


def _started(name: str, check: Check) -> Found:
    """Begin now, in a thread that nobody need wait for."""
    found: Found = queue.SimpleQueue()
    threading.Thread(target=_run, args=(name, check, found), daemon=True).start()
    return found


def _run(name: str, check: Check, found: Found) -> None:
    try:
        found.put(list(check()))
    finally:  # only the first answer is read
        found.put([problem(name, "the check itself broke: see its traceback", "tell the authors")])


def _told(name: str, found: Found, ends: float, options: Doctor) -> list[Finding]:
    try:
        return found.get(timeout=max(0.0, ends - time.monotonic()) + GRACE)
    except queue.Empty:
        remedy = "something that it asks does not answer: the network, a mount, a server; --patience waits longer"
        return [problem(name, f"no answer within {options.patience:.0f} s", remedy)]
