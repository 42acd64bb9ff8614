"""Notice that nothing can go on, because what is left waits for workers that have no place.

What a worker has in hand stays its own when its node dies: the engine starts the worker again and waits for it. Where
no other node has room, that is for ever, while others have nothing to do. Then the flow is ended, and whoever asked
for it begins anew over what is missing, with workers for the nodes that there are.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import ray
from ray.actor import ActorHandle
from ray.core.generated.gcs_pb2 import ActorTableData  # type: ignore[attr-defined]  # it is made at run time
from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.data._internal.execution.operators.actor_pool_map_operator import (
    ActorPoolMapOperator,
    _ActorPool,
    _ActorState,
    _MapWorker,
)
from ray.data._internal.execution.streaming_executor import StreamingExecutor
from ray.exceptions import ActorHandleNotFoundError

EVERY = 1.0
"""Seconds between two looks."""
IDLE, BUSY = 60.0, 900.0
"""Seconds without progress that are enough: where nobody is at work, and where somebody may only seem to be.

A worker that is started again where there is room has its process sooner than that."""
Worker = ActorHandle[_MapWorker]


class StandstillError(Exception):
    """The flow was ended. What it has not given has to be asked for again."""


class Standstill(ExecutionCallback):
    """Looks now and then at one flow, and ends it where it cannot go on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._looked = self._moved = clock()
        self._seen: list[tuple[int, int]] = []
        self._workers: set[ray.ActorID] = set()

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        """Look, if it is time. What a step raises reaches whoever waits for the flow's rows."""
        if self.clock() - self._looked < EVERY:
            return
        self._looked = self.clock()
        self._workers |= {worker._actor_id for stage in _stages(executor) for worker in _workers(stage)}
        if homeless := stuck(executor, self._still(executor)):
            self._dismiss()
            raise StandstillError(f"{len(homeless)} workers have lost their node, and no other has room for them")

    def after_execution_succeeds(self, executor: StreamingExecutor) -> None:
        """Leave the devices to the next flow."""
        self._dismiss()

    def after_execution_fails(self, executor: StreamingExecutor, error: Exception) -> None:
        """Leave the devices to the next flow."""
        self._dismiss()

    def _dismiss(self) -> None:
        """End every worker that there ever was: the engine lets some live, and hold a device, that it has let go."""
        for worker in self._workers:
            with suppress(ActorHandleNotFoundError):  # it is gone
                ray._private.worker.global_worker.core_worker.kill_actor(worker, True)  # type: ignore[attr-defined]

    def _still(self, executor: StreamingExecutor) -> float:
        """For how many seconds nothing has moved."""
        stages = (executor._topology or {}).items()
        seen = [(stage.metrics.num_outputs_taken, state.total_enqueued_input_blocks()) for stage, state in stages]
        if seen != self._seen:
            self._seen, self._moved = seen, self._looked
        return self._looked - self._moved


def stuck(executor: StreamingExecutor, still: float) -> list[Worker]:
    """The workers without a place, if it is they that everything waits for."""
    if still < IDLE:
        return []
    homeless = {worker: state for stage in _stages(executor) for worker, state in _homeless(stage)}
    awaited = any(state.num_tasks_in_flight for state in homeless.values()) and not _at_work(executor)
    return list(homeless) if awaited or still >= BUSY else []


def _homeless(stage: ActorPoolMapOperator) -> Iterator[tuple[Worker, _ActorState]]:
    """Workers that are to be started again and have no node to be started on."""
    for worker, state in _workers(stage).items():
        if state.is_restarting and not _placed(worker):
            yield worker, state


def _placed(worker: Worker) -> bool:
    """Whether a process is there for it, in which it may be loading its model."""
    known = ray._private.state.state.get_actor_info(worker._actor_id)
    return known is None or bool(ActorTableData.FromString(known).address.worker_id)


def _at_work(executor: StreamingExecutor) -> bool:
    """Whether a model has a batch, or a reader makes one while the models have nothing to do."""
    *readers, models = _stages(executor)
    queued = executor._topology[models].total_enqueued_input_blocks() if executor._topology else 0
    return _hands(models) > 0 or (not queued and any(_hands(stage) for stage in readers))


def _hands(stage: ActorPoolMapOperator) -> int:
    """Workers of a stage that are up and have something in hand."""
    return sum(not state.is_restarting and state.num_tasks_in_flight > 0 for state in _workers(stage).values())


def _workers(stage: ActorPoolMapOperator) -> dict[Worker, _ActorState]:
    pool = stage._actor_pool
    return pool._running_actors if isinstance(pool, _ActorPool) else {}


def _stages(executor: StreamingExecutor) -> list[ActorPoolMapOperator]:
    """Readers, then models."""
    return [stage for stage in executor._topology or {} if isinstance(stage, ActorPoolMapOperator)]
