"""End this process when something in it does not end.

The engine never stops a function that hangs, and neither a signal handler nor a thread can stop a decoder that holds
the interpreter's lock. A timer that needs no lock can, by leaving the process; the engine then starts another.
"""

import faulthandler
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Leave the process, with a trace of where it hung, unless the block ends in time. One at a time."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
