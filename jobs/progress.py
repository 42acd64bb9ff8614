"""One line on stderr that says how far a job is: in place on a terminal, with a bar; elsewhere plain, now and then.

Before there are figures, it says what the job is at: the steps that are told to the log.
"""

import logging
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from jobs.table import clock
from pipeline.log import LOG, STEP, visible
from pipeline.schema import STATUSES
from pipeline.storage import scrub
from pipeline.tally import Tally, Watch

OFTEN, SELDOM = 0.2, 10.0
"""Seconds between two lines, on a terminal and elsewhere."""
FORESEEN = 0.02
"""The part of a run after which its end is guessed."""
NARROWEST, WIDEST = 10, 40
"""Columns of the bar."""
FILLERS = (" of audio", " real time", "about ")
"""Words that can be spared on a narrow terminal."""
BLOCKS, SIGNS = "█░", "#-"
"""Of what is done and what is left, and where the screen's alphabet lacks them."""


@contextmanager
def shown(screen: TextIO = sys.stderr) -> Iterator[Watch]:
    """Something to call with what a run has done so far."""
    line = _Line(screen)
    steps = _Steps(line)
    LOG.addHandler(steps)
    try:
        yield line.update
    finally:
        LOG.removeHandler(steps)
        line.end()


class _Line:
    """Where the line stands. `began` is when the last step was told: setting up tells nothing about the speed."""

    def __init__(self, screen: TextIO) -> None:
        self.screen, self.live = screen, screen.isatty()
        self.began, self.said = time.monotonic(), 0.0
        self.last: Tally | None = None
        self.started = self.written = False

    def step(self, text: str) -> None:
        """What the job is at, while there is nothing to count."""
        if self.started:
            return
        self.began = time.monotonic()
        self.write(f"{text} ..." if self.live else text)

    def update(self, tally: Tally) -> None:
        now = time.monotonic()
        self.started, self.last = True, tally
        if now - self.said >= (OFTEN if self.live else SELDOM):
            self.said = now
            self._figures(tally)

    def end(self) -> None:
        if self.last is not None:
            self._figures(self.last)
        if self.live and self.written:
            print(file=self.screen)

    def _figures(self, tally: Tally) -> None:
        self.last = None
        said = sentence(tally, time.monotonic() - self.began)
        self.write(barred(tally.share, said, _room(), self._signs()) if self.live else said)

    def _signs(self) -> str:
        try:
            BLOCKS.encode(self.screen.encoding or "ascii")
        except UnicodeEncodeError:
            return SIGNS
        return BLOCKS

    def write(self, text: str) -> None:
        self.written = True
        if self.live:
            print(f"\r\x1b[K{text[: _room()]}", end="", file=self.screen, flush=True)
        else:
            print(f"steno: {text}", file=self.screen, flush=True)


class _Steps(logging.Handler):
    """Takes the steps out of the log to the line."""

    def __init__(self, line: _Line) -> None:
        super().__init__(STEP)
        self.line = line

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == STEP:
            self.line.step(visible(scrub(record.getMessage())))


def _room() -> int:
    """Columns of the terminal but the last, in which some break the line."""
    return shutil.get_terminal_size().columns - 1


def barred(share: float, said: str, room: int, signs: str = BLOCKS) -> str:
    """The figures behind a bar as wide as they leave room for; the narrowest, where they must be shortened."""
    for filler in FILLERS:
        if len(said) + 1 + NARROWEST > room:
            said = said.replace(filler, "", 1)
    wide = max(NARROWEST, min(WIDEST, room - 1 - len(said)))
    full = int(share * wide)
    return f"{signs[0] * full}{signs[1] * (wide - full)} {said}"


def sentence(tally: Tally, elapsed: float) -> str:
    """What has been done, in one line."""
    share = tally.share
    counts = [f"{tally.arrivals[status]:,} {status}" for status in STATUSES if tally.arrivals[status]]
    parts = [
        f"{share:.0%}",
        ", ".join(counts) or "nothing heard to its end yet",
        f"{clock(tally.audio)} of audio",
        f"{tally.audio / elapsed:.1f}x real time" if elapsed else "",
        f"{tally.hourly_cost:.4g} an hour of audio" if tally.hourly_cost else "",
        f"about {clock(elapsed * (1 - share) / share)} left" if FORESEEN < share < 1 else "",
    ]
    return " | ".join(part for part in parts if part)
