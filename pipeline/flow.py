"""The whole pipeline on one screen: shards in, heard segments out, on Ray Data.

    work ── Reader (CPU actors) ── batches ── Listener (actor pool, one model each) ── heard segments
            sources, audio, features, bucketing     inference, decoding

The engine moves, balances, scales and restarts. What it says about its success is not believed: see `passes`.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import pyarrow as pa
import ray.data
from ray.data import ActorPoolStrategy, DataContext, Dataset
from ray.data.context import AutoscalingConfig

from pipeline import inference
from pipeline.batches import folded, unfolded
from pipeline.inference import Device
from pipeline.leaving import leave
from pipeline.reading import WORK, Reader, Rules
from pipeline.resources import Resources
from pipeline.standing import Watchman
from pipeline.standstill import Standstill

ROUND = 20_000
"""Shards that the engine is given at once: its bookkeeping grows with them."""
IN_FLIGHT = 2
"""Batches that a model has in hand, and shards that a reader has: the one that it is at, and the next."""


class Listener(inference.Listener):
    """On the engine, where what goes in and what comes out are single rows."""

    def __call__(self, batch: pa.Table) -> pa.Table:
        """One batch -> all its segments, folded."""
        return folded(super().__call__(batch))


def flow(work: pa.Table, rules: Rules, device: Device, resources: Resources) -> Dataset:
    """The stages. In pool and reader alike a block is what one call yields: a batch is never held back or split."""
    context = DataContext.get_current()
    context.target_max_block_size = context.target_min_block_size = 1
    context.max_errored_blocks = -1
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_options.preserve_order = False
    context.custom_execution_callback_classes = [Watchman, Standstill]
    in_hand = 1 if rules.apart else IN_FLIGHT  # with care, whoever dies takes nothing with it that it has not tried
    fewest, most = resources.listeners
    context.autoscaling_config = growth(fewest, most)
    return (
        ray.data.from_arrow([work.slice(i, 1) for i in range(len(work))])
        .map_batches(
            Reader,
            fn_constructor_args=(rules, leave),
            batch_size=None,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=resources.readers, max_tasks_in_flight_per_actor=in_hand),
            num_cpus=resources.reader_cpus,
            memory=resources.reader_memory,
            ray_remote_args_fn=retries,
        )
        .map_batches(
            Listener,
            fn_constructor_args=(device, leave),
            batch_size=1,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=ActorPoolStrategy(
                min_size=fewest,
                max_size=most,
                initial_size=resources.begun,
                max_tasks_in_flight_per_actor=in_hand,
            ),
            num_cpus=resources.listener_cpus,
            num_gpus=resources.listener_gpus,
            memory=resources.listener_memory,
            ray_remote_args_fn=retries,
        )
    )


def growth(fewest: int, most: int) -> AutoscalingConfig:
    """When the pool grows and shrinks: in one step from the smallest to the largest, if there is room and work.

    The engine's own threshold lets it grow by one model at a time, each waiting for the one before to load.
    """
    saturated = max(0.1, min(1.0, IN_FLIGHT * fewest / most))
    return AutoscalingConfig(
        actor_pool_util_upscaling_threshold=saturated, actor_pool_util_downscaling_threshold=saturated / 2
    )


def retries() -> dict[str, object]:
    """Actors come back for as long as there is work; a task is tried twice, then its rows are left to a later pass."""
    return {"max_restarts": -1, "max_task_retries": 1}


def heard(work: Iterable[dict[str, object]], rules: Rules, device: Device, resources: Resources) -> Iterator[pa.Table]:
    """Run the stages over the work, some shards at a time, and yield what comes."""
    shards = iter(work)
    while part := list(islice(shards, ROUND)):
        table = pa.Table.from_pylist(part, WORK)
        for block in flow(table, rules, device, resources).iter_batches(batch_size=None, batch_format="pyarrow"):
            yield unfolded(block)
