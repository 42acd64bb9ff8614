"""Throw away what the engine writes down of every block for a report that nobody asks for.

It is some kilobytes for each batch, in the driver, until the flow ends: the longer a run, the larger its driver.
"""

import time
from collections.abc import Callable

from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.data._internal.execution.operators.map_operator import MapOperator
from ray.data._internal.execution.streaming_executor import StreamingExecutor

EVERY = 1.0
"""Seconds between two clearances."""


class Forgetting(ExecutionCallback):
    """Clears the notes of one flow now and then."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._cleared = clock()

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        """Clear them, if it is time."""
        if self.clock() - self._cleared < EVERY:
            return
        self._cleared = self.clock()
        for stage in executor._topology or {}:
            if isinstance(stage, MapOperator):
                stage._output_blocks_stats.clear()
