"""Keep the engine's talk off the user's screen: it stays in the engine's log files.

Python's side is told by its loggers. The other side writes to the file descriptor itself, and announces even that it
was told to be quiet: that one line is dropped, everything else is passed on.
"""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from ray._private import worker
from ray.util.annotations import RayDeprecationWarning

LEVEL = "RAY_BACKEND_LOG_LEVEL"
ANNOUNCED = LEVEL.encode()
LOGGERS = ("ray", "ray.data")
SCREEN = 2
"""The file descriptor of stderr."""


def quiet() -> None:
    """Only what is fatal is said aloud from now on, unless the user has asked for more."""
    os.environ.setdefault(LEVEL, "fatal")
    warnings.filterwarnings("ignore", category=RayDeprecationWarning)
    warnings.filterwarnings("ignore", "The minimum number of concurrent actors", UserWarning)  # a small job has few
    worker.print_to_stdstream = _unsaid
    for handler in [handler for name in LOGGERS for handler in logging.getLogger(name).handlers]:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.setLevel(logging.CRITICAL)


def _unsaid(data: object, ignore_prefix: bool) -> None:
    """The engine tells of workers that died on stdout, in the middle of what programs read there."""


@contextmanager
def unannounced() -> Iterator[None]:
    """While the engine starts, drop the line in which it says how loud it will be."""
    sys.stderr.flush()
    screen = os.dup(SCREEN)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), SCREEN)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(screen, SCREEN)
            os.close(screen)
            said.seek(0)
            os.write(SCREEN, b"".join(line for line in said if ANNOUNCED not in line))
