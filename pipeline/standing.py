"""How the engine stands while it runs: what waits for the pool, and how large the pool is.

The engine says so only from inside, to a callback of each step of its loop.
"""

import time
from typing import ClassVar

from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.data._internal.execution.streaming_executor import StreamingExecutor

from pipeline.tally import Standing

EVERY = 0.5
"""Seconds between two looks: the loop turns far more often."""


class Watchman(ExecutionCallback):
    """Looks now and then; readers and models are the last of the stages."""

    latest: ClassVar[Standing] = Standing()
    looked: ClassVar[float] = 0.0

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        """Look, if it is time."""
        if time.monotonic() - Watchman.looked < EVERY or not executor._topology:
            return
        Watchman.looked = time.monotonic()
        (reading, _), (pool, state) = list(executor._topology.items())[-2:]
        actors = pool.get_actor_info()
        queued = state.total_enqueued_input_blocks() + max(0, actors.tasks_in_flight - actors.running)
        readers = reading.get_actor_info().running
        Watchman.latest = Standing(queued, actors.running, actors.pending + actors.restarting, readers)
