"""The two pools of the flow: how they begin, grow, shrink and come back.

The engine weighs a pool by its running workers' tasks over all its workers, those that are loading among them: with a
threshold that is not below that weight a pool grows by one, waits until it has loaded, and grows by one again.
"""

from ray.data import ActorPoolStrategy, DataContext
from ray.data._internal.execution.interfaces import ExecutionResources
from ray.data.context import AutoscalingConfig

from pipeline.forgetting import Forgetting
from pipeline.pacing import Pacing
from pipeline.resources import Resources
from pipeline.standing import Watchman
from pipeline.standstill import Standstill

IN_FLIGHT = 2
"""Batches that a model has in hand, and shards that a reader has: the one that it is at, and the next."""


def conduct(resources: Resources, in_hand: int) -> None:
    """Tell the engine how to go about it, for as long as `machines.cluster` stands.

    In either pool a block is what one call yields: a batch is never split.
    """
    context = DataContext.get_current()
    context.target_max_block_size = context.target_min_block_size = 1
    context.max_errored_blocks = -1
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_options.preserve_order = False
    context.execution_options.exclude_resources = ExecutionResources(cpu=resources.spared)
    context.custom_execution_callback_classes = [Watchman, Standstill, Forgetting, Pacing]
    context.autoscaling_config = growth(resources.begun, resources.listeners[1], in_hand)


def growth(begun: int, most: int, in_hand: int = IN_FLIGHT) -> AutoscalingConfig:
    """When a pool grows and shrinks: with room and work for it, in one step from what it began with to the largest."""
    saturated = max(0.1, min(1.0, in_hand * begun / most))
    return AutoscalingConfig(
        actor_pool_util_upscaling_threshold=saturated, actor_pool_util_downscaling_threshold=saturated / 2
    )


def readers(resources: Resources, in_hand: int) -> ActorPoolStrategy:
    """As many as the machines have cores for, for as long as models can take what they read."""
    elastic = resources.most_readers > resources.readers
    return ActorPoolStrategy(
        min_size=1 if elastic else resources.readers,
        max_size=max(resources.most_readers, resources.readers),
        initial_size=resources.readers,
        max_tasks_in_flight_per_actor=in_hand,
    )


def listeners(resources: Resources, in_hand: int) -> ActorPoolStrategy:
    """Within the bounds, and all that have room at once."""
    fewest, most = resources.listeners
    return ActorPoolStrategy(
        min_size=fewest, max_size=most, initial_size=resources.begun, max_tasks_in_flight_per_actor=in_hand
    )


def retries() -> dict[str, object]:
    """Actors come back for as long as there is work; a task is tried twice, then its rows are left to a later pass."""
    return {"max_restarts": -1, "max_task_retries": 1}
