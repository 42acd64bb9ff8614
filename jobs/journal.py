"""What a command says beside its result, on stderr: lines for people, or with `--log json` an object a line.

People are shown progress in place, and what they should know. Programs are told every event: each shard that is
written, each recording that failed, progress now and then.
"""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from jobs.options import Manner
from jobs.progress import SELDOM, sentence, shown
from pipeline.log import LOG, NOTICE, STEP, Json, Plain, tell
from pipeline.tally import Tally, Watch

VARIABLE = "STENOPOOL_LOG"
PLAIN, JSON = "plain", "json"


def form(manner: Manner) -> str:
    """As it was asked for, else as the environment says."""
    return manner.log or os.environ.get(VARIABLE) or PLAIN


def flaws(manner: Manner) -> Iterator[str]:
    """Why records cannot be written like that."""
    if form(manner) not in (PLAIN, JSON):
        yield f"{'log' if manner.log else VARIABLE} is {form(manner)!r}: it must be {PLAIN} or {JSON}"


@contextmanager
def journal(manner: Manner) -> Iterator[None]:
    """Records go to stderr meanwhile; within another journal, where that one sends them."""
    if any(isinstance(handler, _Screen) for handler in LOG.handlers):
        yield
        return
    handler, before = _Screen(sys.stderr), LOG.level
    handler.setFormatter(Json() if form(manner) == JSON else Plain())
    handler.setLevel(logging.INFO if form(manner) == JSON else NOTICE)
    LOG.setLevel(logging.INFO if form(manner) == JSON else STEP)
    LOG.addHandler(handler)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(before)


@contextmanager
def progress(manner: Manner) -> Iterator[Watch]:
    """Something to call with what a run has done so far."""
    if form(manner) == JSON:
        yield _Events()
        return
    with shown(sys.stderr) as watch:
        yield watch


class _Screen(logging.StreamHandler[TextIO]):
    """Ours, among handlers that others may have put there."""


class _Events:
    """Progress as events, few enough to keep."""

    def __init__(self) -> None:
        self.began, self.said = time.monotonic(), 0.0

    def __call__(self, tally: Tally) -> None:
        now = time.monotonic()
        if now - self.said >= SELDOM:
            self.said = now
            tell(sentence(tally, now - self.began))
