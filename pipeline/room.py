"""What a device is known not to hold, so that a batch is not tried in vain.

Only for a while: memory may have been short because somebody else had it.
"""

import math

from pipeline.bucketing import Buckets, cost

REMEMBERED = 256
"""Calls of the model after which it is tried again whether a large batch fits."""


class Room:
    """What one device holds, as far as its batches have shown."""

    def __init__(self) -> None:
        self._too_much, self._since = math.inf, 0

    def holds(self, seconds: list[float]) -> bool:
        """Whether clips of these lengths may be tried together: one alone always may."""
        return len(seconds) == 1 or _price(seconds) < self._too_much

    def held(self) -> None:
        """A batch did fit."""
        self._since += 1
        if self._since >= REMEMBERED:
            self._too_much, self._since = math.inf, 0

    def lacked(self, seconds: list[float]) -> None:
        """Memory ran out over clips of these lengths."""
        self._too_much, self._since = min(self._too_much, _price(seconds)), 0


def _price(seconds: list[float]) -> float:
    return cost(len(seconds), max(seconds), Buckets())
