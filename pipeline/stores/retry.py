"""Ask again, a bounded number of times, waiting longer each time.

The clients below are told not to retry by themselves: a create that is repeated blindly meets its own first attempt.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pipeline.stores.errors import StoreError

T = TypeVar("T")
_repeats: Counter[str] = Counter()


@dataclass(frozen=True)
class Patience:
    """How often and how long."""

    attempts: int = 7
    """Tries in all."""
    first: float = 0.2
    """Seconds before the second try; doubles each time, and a third of it is chance."""
    most: float = 4.0
    """Seconds at most between two tries."""

    def wait(self, attempt: int) -> None:
        """Sleep after the failure of this try, counted from 0."""
        time.sleep(min(self.most, self.first * 2**attempt) * random.uniform(0.67, 1.0))  # noqa: S311


class TransientError(Exception):
    """A failure that may not happen again, with the words to say if it does."""

    def __init__(self, error: StoreError) -> None:
        super().__init__(error)
        self.error = error


def patiently(ask: Callable[[], T], patience: Patience) -> T:
    """Call until it does not fail with `TransientError`, or patience ends: then raise what it says."""
    for attempt in range(patience.attempts):
        try:
            return ask()
        except TransientError as failure:
            if attempt + 1 == patience.attempts:
                raise StoreError(failure.error.kind, f"{failure.error} (tried {patience.attempts} times)") from None
            _repeats["new"] += 1
            patience.wait(attempt)
    raise ValueError("no attempts")


def repeats() -> int:
    """How often this process has asked again since this was called last."""
    return _repeats.pop("new", 0)
