"""One line on stderr that says how far a run is: in place on a terminal, a plain line now and then elsewhere."""

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from jobs.table import clock
from pipeline.schema import STATUSES
from pipeline.tally import Tally, Watch

OFTEN, SELDOM = 0.2, 10.0
"""Seconds between two lines, on a terminal and elsewhere."""
FORESEEN = 0.02
"""The part of a run after which its end is guessed."""


@contextmanager
def shown(screen: TextIO = sys.stderr) -> Iterator[Watch]:
    """Something to call with what a run has done so far."""
    line = _Line(screen)
    line.write("looking at the options, the checkpoint, the input and the output")
    try:
        yield line.update
    finally:
        line.end()


class _Line:
    """Where the line stands. `began` is when the first words came: setting up tells nothing about the speed."""

    def __init__(self, screen: TextIO) -> None:
        self.screen, self.live = screen, screen.isatty()
        self.began, self.said = time.monotonic(), 0.0
        self.last = ""

    def update(self, tally: Tally) -> None:
        now = time.monotonic()
        self.last = sentence(tally, now - self.began)
        if now - self.said >= (OFTEN if self.live else SELDOM):
            self.said = now
            self.write(self.last)
            self.last = ""

    def end(self) -> None:
        if self.last:
            self.write(self.last)
        if self.live:
            print(file=self.screen)

    def write(self, text: str) -> None:
        if self.live:
            room = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{text[:room]}", end="", file=self.screen, flush=True)
        else:
            print(f"steno: {text}", file=self.screen, flush=True)


def sentence(tally: Tally, elapsed: float) -> str:
    """What has been done, in one line."""
    share = tally.done / tally.missing if tally.missing else 0.0
    counts = [f"{tally.arrivals[status]:,} {status}" for status in STATUSES if tally.arrivals[status]]
    parts = [
        f"{share:.0%}",
        ", ".join(counts) or "nothing heard to its end yet",
        f"{clock(tally.heard)} of audio",
        f"{tally.heard / elapsed:.1f}x real time" if elapsed else "",
        f"{tally.hourly_cost:.4g} an hour of audio" if tally.hourly_cost else "",
        f"about {clock(elapsed * (1 - share) / share)} left" if FORESEEN < share < 1 else "",
    ]
    return " | ".join(part for part in parts if part)
