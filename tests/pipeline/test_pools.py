"""How many readers there are, and how fast pools grow, as the engine itself reckons it."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from ray.data import DataContext
from ray.data._internal.actor_autoscaler import ActorPoolScalingRequest, AutoscalingActorPool, create_actor_autoscaler
from ray.data._internal.execution.interfaces import ExecutionResources
from ray.data.context import AutoscalingConfig

from pipeline import machines, pools
from pipeline.resources import Asked, resources


@dataclass
class Pool:
    """A pool as the engine sees it: models that are loaded have their hands full, and nothing waits behind them."""

    begun: int
    most: int
    loading: int = 0

    def current_size(self) -> int:
        return self.begun + self.loading

    def min_size(self) -> int:
        return 1

    def max_size(self) -> int:
        return self.most

    def max_actor_concurrency(self) -> int:
        return 1

    def max_tasks_in_flight_per_actor(self) -> int:
        return pools.IN_FLIGHT

    def num_tasks_in_flight(self) -> int:
        return pools.IN_FLIGHT * self.begun

    def per_actor_resource_usage(self) -> ExecutionResources:
        return ExecutionResources(gpu=1)

    get_pool_util = AutoscalingActorPool.get_pool_util

    def scale(self, wanted: ActorPoolScalingRequest) -> None:
        self.loading += wanted.delta


def grown(pool: Pool, config: AutoscalingConfig) -> int:
    """How large a pool wants to be, as one GPU after the other joins, before the first new model is loaded."""
    known = Part(num_inputs_received=1, average_num_inputs_per_task=1)
    stage = Part(metrics=known, has_completed=lambda: False, get_autoscaling_actor_pools=lambda: [pool])
    stage._inputs_complete = False
    state = Part(op=stage, total_enqueued_input_blocks=lambda: 0, _scheduling_status=Part(under_resource_limits=True))
    room = Part(get_allocation=lambda _: None, get_op_usage=lambda _: None)
    room.get_budget = lambda _: ExecutionResources.for_limits(gpu=1)
    autoscaler = create_actor_autoscaler({stage: state}, room, config)
    for _ in range(pool.most):
        autoscaler.try_trigger_scaling()
    return pool.current_size()


class Part(SimpleNamespace):
    """Of the engine: one that can be a key."""

    __hash__ = object.__hash__


@pytest.mark.parametrize(("begun", "most"), [(1, 1), (1, 2), (1, 8), (2, 8), (4, 5), (8, 8), (1, 16), (4, 64)])
def test_a_pool_reaches_its_size_within_one_load_of_a_model(begun: int, most: int) -> None:
    assert grown(Pool(begun, most), pools.growth(begun, most)) == most


def test_the_engine_of_itself_would_load_one_model_after_the_other() -> None:
    assert grown(Pool(1, 8), AutoscalingConfig()) == 2


@pytest.mark.parametrize(
    ("there", "pool", "expected"),
    [
        ([{"CPU": 8, "GPU": 1}], None, (7, 8)),
        ([{"CPU": 8, "GPU": 1}], (1, 8), (7, 64)),
        ([{"CPU": 64, "GPU": 4}, {"CPU": 64}], (1, 4), (32, 32)),
        ([{"CPU": 1, "GPU": 1}], (1, 2), (1, 16)),
        ([{"CPU": 16}], (1, 3), (2, 2)),
    ],
)
def test_readers_begin_with_what_there_is_and_may_grow_with_the_pool(
    there: list[dict[str, float]], pool: tuple[int, int] | None, expected: tuple[int, int]
) -> None:
    device = "cuda" if any("GPU" in node for node in there) else "cpu"
    asked = resources([{**node, "memory": 64 << 30} for node in there], Asked(device, pool))
    assert (pools.readers(asked, 2).initial_size, pools.readers(asked, 2).max_size) == expected


@pytest.mark.ray
def test_whose_process_it_is_finds_the_engine_as_it_was() -> None:
    context = DataContext.get_current()
    before = context.copy()
    with pytest.raises(ZeroDivisionError), machines.cluster(cpus=1) as there:  # noqa: PT012
        pools.conduct(there, 2)
        assert DataContext.get_current().max_errored_blocks == -1
        raise ZeroDivisionError
    assert DataContext.get_current() is context
    for name in ("max_errored_blocks", "target_max_block_size", "target_min_block_size", "enable_progress_bars",
                 "custom_execution_callback_classes", "execution_options", "autoscaling_config"):  # fmt: skip
        assert getattr(context, name) == getattr(before, name), name


def test_as_many_readers_as_were_asked_for_are_as_many_as_there_will_be() -> None:
    asked = resources([{"CPU": 8, "GPU": 1, "memory": 64 << 30}], Asked("cuda", (1, 8), readers=3))
    strategy = pools.readers(asked, 2)
    assert (strategy.min_size, strategy.initial_size, strategy.max_size) == (3, 3, 3)


def test_readers_leave_a_core_to_each_model_that_has_room_when_they_begin() -> None:
    gpus = Asked("cuda")
    assert resources([{"CPU": 8, "GPU": 1}, {"CPU": 16}], gpus).spared == 1
    assert resources([{"CPU": 1, "GPU": 1}], gpus).spared == 0, "or there would be no reader"
    assert resources([{"CPU": 16}], Asked("cpu")).spared == 0, "models ask for theirs"
