"""One night, for an orchestrator in Python: what nightly.sh does, with errors instead of exit codes.

It needs nothing but the `steno` command on the path: the orchestrator's own environment need not hold torch.
"""

import os
import subprocess

SCRIPT = os.path.join(os.path.dirname(__file__), "nightly.sh")
UNUSABLE = 2


class NightFailedError(Exception):
    """The night is not done: the same date may be started again."""


class UnusableError(NightFailedError):
    """Starting it again will not help: somebody must look."""


def run(date: str) -> None:
    """Do a night; its progress goes to this process's own streams."""
    code = subprocess.run([SCRIPT, date], check=False).returncode  # noqa: S603
    if code == UNUSABLE:
        raise UnusableError(f"the night of {date} cannot run: what steno printed says why")
    if code:
        raise NightFailedError(f"the night of {date} ended with exit code {code}: start it again, and it goes on")
