"""Throw away what the engine writes down of every block for a report that nobody asks for.

It is some kilobytes for each batch, in the driver, until the flow ends: the longer a run, the larger its driver. What
many threads free lies about in pieces, besides, which the C library keeps unless it is asked for them.
"""

import ctypes
import time
from collections.abc import Callable

import pyarrow as pa
from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.data._internal.execution.operators.map_operator import MapOperator
from ray.data._internal.execution.streaming_executor import StreamingExecutor

EVERY = 1.0
"""Seconds between two clearances."""
RARELY = 10.0
"""Seconds between two times that the system gets back what is free."""


class Forgetting(ExecutionCallback):
    """Clears the notes of one flow now and then."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._cleared = self._given_back = clock()

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        """Clear them, if it is time."""
        now = self.clock()
        if now - self._cleared < EVERY:
            return
        self._cleared = now
        for stage in executor._topology or {}:
            if isinstance(stage, MapOperator):
                stage._output_blocks_stats.clear()
        if now - self._given_back >= RARELY:
            self._given_back = now
            give_back()


def give_back() -> None:
    """What is free to the system, of Arrow's memory and, where it knows how, of the C library's."""
    pa.default_memory_pool().release_unused()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
