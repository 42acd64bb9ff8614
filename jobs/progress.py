"""One line on stderr that says how far a run is: in place on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from pipeline.passes import Tally, Watch
from pipeline.schema import FAILED

OFTEN, SELDOM = 0.2, 10.0
"""Seconds between two lines, on a terminal and elsewhere."""


@contextmanager
def shown(screen: TextIO = sys.stderr) -> Iterator[Watch]:
    """Something to call with what a run has done so far."""
    line = _Line(screen)
    print("steno: checking, planning, starting", file=screen, flush=True)
    try:
        yield line.update
    finally:
        line.end()


class _Line:
    def __init__(self, screen: TextIO) -> None:
        self.screen, self.live = screen, screen.isatty()
        self.began: float | None = None
        self.said = 0.0

    def update(self, tally: Tally) -> None:
        now = time.monotonic()
        self.began = self.began or now
        if now - self.said >= (OFTEN if self.live else SELDOM):
            self.said = now
            self._write(sentence(tally, now - self.began))

    def end(self) -> None:
        if self.live and self.said:
            print(file=self.screen)

    def _write(self, text: str) -> None:
        if self.live:
            print(f"\r\x1b[K{text}", end="", file=self.screen, flush=True)
        else:
            print(f"steno: {text}", file=self.screen, flush=True)


def sentence(tally: Tally, elapsed: float) -> str:
    """What has been done, in one line."""
    rows, failed = sum(tally.counts.values()), tally.counts[FAILED]
    return f"{elapsed:.0f} s: {rows:,} rows, {failed:,} failed, {tally.heard / 3600:.2f} h heard"
