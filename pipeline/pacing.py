"""Keep the engine's loop from turning without end where there is nothing that it could do.

It waits for its tasks, a tenth of a second at most, but not at all where every one has something to hand over that
nobody takes yet. It turns in the driver, which is then slower at the very thing that is waited for: to gather and
commit. Of 100,000 small shards it was a third as fast from the 10,000th on.
"""

import time
from collections.abc import Callable

from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.data._internal.execution.streaming_executor import StreamingExecutor

TURN = 0.02
"""Seconds of one turn at least: far less than a worker has in hand."""


class Pacing(ExecutionCallback):
    """Draws out the turns of one flow that are too short."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        self.clock, self.sleep = clock, sleep
        self._turned = clock()

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        """Wait for the turn's end."""
        if (left := self._turned + TURN - self.clock()) > 0:
            self.sleep(left)
        self._turned = self.clock()
