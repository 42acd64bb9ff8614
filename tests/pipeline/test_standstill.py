"""A flow whose last batches belong to workers without a place is ended; one in which somebody works is not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from ray.data._internal.execution.operators.actor_pool_map_operator import (
    ActorPoolMapOperator,
    _ActorPool,
    _ActorState,
)

from pipeline import standstill
from pipeline.standstill import BUSY, IDLE, Standstill, StandstillError

IDLE_WORKER, WORKING = (False, 0), (False, 1)
LOST, LOST_WITH_WORK = (True, 0), (True, 2)


@dataclass
class Engine:
    """A flow as its callbacks see it: what its readers and models are at, and what waits for the models."""

    readers: list[tuple[bool, int]]
    models: list[tuple[bool, int]]
    queued: int = 0
    now: float = 0.0
    outputs: int = 0
    killed: list[str] = field(default_factory=list)

    def topology(self) -> dict[ActorPoolMapOperator, SimpleNamespace]:
        readers, models = Stage("reader", self.readers, self.outputs), Stage("model", self.models, 0)
        queues = [SimpleNamespace(total_enqueued_input_blocks=lambda count=count: count) for count in (0, self.queued)]
        return dict(zip((readers, models), queues, strict=True))


@dataclass(frozen=True)
class Worker:
    """An actor, known by its name."""

    _actor_id: str


class Stage(ActorPoolMapOperator):
    """A stage of the engine, its workers restarting or not, each with so much in hand."""

    metrics = SimpleNamespace(num_outputs_taken=0)  # type: ignore[assignment]

    def __init__(self, name: str, workers: list[tuple[bool, int]], outputs: int) -> None:
        self._actor_pool = _ActorPool.__new__(_ActorPool)
        states = {Worker(f"{name} {n}"): _ActorState(held, "", lost) for n, (lost, held) in enumerate(workers)}
        self._actor_pool._running_actors = states  # type: ignore[assignment]
        self.metrics = SimpleNamespace(num_outputs_taken=outputs)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Callable[[Engine], float]:
    """After how many seconds a flow is ended; no worker that restarts has a place."""
    monkeypatch.setattr(standstill, "_placed", lambda _: False)

    def ended(engine: Engine, until: float = 2 * BUSY) -> float:
        core = SimpleNamespace(kill_actor=lambda worker, _: engine.killed.append(worker))
        monkeypatch.setattr(standstill.ray._private.worker, "global_worker", SimpleNamespace(core_worker=core))
        callback = Standstill(clock=lambda: engine.now)
        while engine.now < until:
            engine.now += 0.5
            try:
                callback.on_execution_step(SimpleNamespace(_topology=engine.topology()))  # type: ignore[arg-type]
            except StandstillError:
                return engine.now
        return until

    return ended


@pytest.mark.parametrize(
    ("readers", "models", "queued"),
    [
        ([IDLE_WORKER], [LOST_WITH_WORK, IDLE_WORKER], 0),
        ([LOST_WITH_WORK, IDLE_WORKER], [IDLE_WORKER], 0),
        ([WORKING], [LOST_WITH_WORK], 5),  # a reader that waits for room in the queue only seems to work
    ],
)
def test_a_flow_in_which_all_wait_for_workers_without_a_place_is_ended(
    readers: list[tuple[bool, int]], models: list[tuple[bool, int]], queued: int, seconds: Callable[[Engine], float]
) -> None:
    engine = Engine(readers, models, queued)
    assert IDLE <= seconds(engine) <= IDLE + 3
    assert len(engine.killed) == len([*readers, *models]), "and all of its workers with it"


@pytest.mark.parametrize(
    ("readers", "models"),
    [([IDLE_WORKER], [LOST_WITH_WORK, WORKING]), ([WORKING], [LOST_WITH_WORK]), ([IDLE_WORKER], [LOST])],
)
def test_while_somebody_seems_to_work_or_nobody_is_waited_for_it_takes_long(
    readers: list[tuple[bool, int]], models: list[tuple[bool, int]], seconds: Callable[[Engine], float]
) -> None:
    assert BUSY <= seconds(Engine(readers, models)) <= BUSY + 3


@pytest.mark.parametrize("models", [[WORKING], [IDLE_WORKER], [WORKING, IDLE_WORKER]])
def test_a_flow_with_all_its_workers_is_never_ended(
    models: list[tuple[bool, int]], seconds: Callable[[Engine], float]
) -> None:
    assert seconds(Engine([WORKING], models), 2 * BUSY) == 2 * BUSY


def test_a_worker_that_has_a_place_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, seconds: Callable[[Engine], float]
) -> None:
    monkeypatch.setattr(standstill, "_placed", lambda _: True)
    assert seconds(Engine([IDLE_WORKER], [LOST_WITH_WORK])) == 2 * BUSY


def test_what_moves_does_not_stand_still(seconds: Callable[[Engine], float]) -> None:
    class Moving(Engine):
        def topology(self) -> dict[ActorPoolMapOperator, SimpleNamespace]:
            self.outputs = int(self.now / (IDLE - 2))
            return super().topology()

    assert seconds(Moving([IDLE_WORKER], [LOST_WITH_WORK]), 10 * IDLE) == 10 * IDLE


def test_a_flow_that_ends_leaves_the_devices_to_the_next(
    monkeypatch: pytest.MonkeyPatch, seconds: Callable[[Engine], float]
) -> None:
    engine = Engine([IDLE_WORKER], [WORKING])
    core = SimpleNamespace(kill_actor=lambda worker, _: engine.killed.append(worker))
    monkeypatch.setattr(standstill.ray._private.worker, "global_worker", SimpleNamespace(core_worker=core))
    executor, callback = SimpleNamespace(_topology=engine.topology()), Standstill(clock=lambda: engine.now)
    engine.now = 2.0
    callback.on_execution_step(executor)  # type: ignore[arg-type]
    callback.after_execution_succeeds(executor)  # type: ignore[arg-type]
    assert sorted(engine.killed) == ["model 0", "reader 0"]
