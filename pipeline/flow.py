"""The whole pipeline on one screen: shards in, heard segments out, on Ray Data.

    work ── Reader (CPU actors) ── batches ── Listener (actor pool, one model each) ── heard segments
            sources, audio, features, bucketing     inference, decoding

The engine moves, balances, scales and restarts. What it says about its success is not believed: see `passes`.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext, Dataset

from pipeline.inference import Device, Listener
from pipeline.quiet import quiet, unannounced
from pipeline.reading import WORK, Reader, Rules
from pipeline.standing import Watchman
from pipeline.tally import Standing

ROUND = 20_000
"""Shards that the engine is given at once: its bookkeeping grows with them."""


@dataclass(frozen=True)
class Resources:
    """What the stages ask the cluster for."""

    readers: int = 1
    reader_cpus: float = 0.5
    reader_memory: int = 2 << 30
    """Bytes that a reader is expected to take."""
    listeners: tuple[int, int] = (1, 1)
    """The pool's bounds: it starts at the first and grows to the second while there is work."""
    listener_cpus: float = 1.0
    listener_gpus: float = 0.0
    listener_memory: int = 2 << 30


def flow(work: pa.Table, rules: Rules, device: Device, resources: Resources) -> Dataset:
    """The stages. In pool and reader alike a block is what one call yields: a batch is never held back or split."""
    context = DataContext.get_current()
    context.target_max_block_size = context.target_min_block_size = 1
    context.max_errored_blocks = -1
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_options.preserve_order = False
    context.custom_execution_callback_classes = [Watchman]
    fewest, most = resources.listeners
    return (
        ray.data.from_arrow([work.slice(i, 1) for i in range(len(work))])
        .map_batches(
            Reader,
            fn_constructor_args=(rules,),
            batch_size=None,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=resources.readers, max_tasks_in_flight_per_actor=2),
            num_cpus=resources.reader_cpus,
            memory=resources.reader_memory,
            ray_remote_args_fn=retries,
        )
        .map_batches(
            Listener,
            fn_constructor_args=(device,),
            batch_size=None,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=ActorPoolStrategy(
                min_size=fewest,
                max_size=most,
                initial_size=fewest,
                max_tasks_in_flight_per_actor=1 if rules.apart else 2,
            ),
            num_cpus=resources.listener_cpus,
            num_gpus=resources.listener_gpus,
            memory=resources.listener_memory,
            ray_remote_args_fn=retries,
        )
    )


def retries() -> dict[str, object]:
    """Actors come back for as long as there is work; a task is tried twice, then its rows are left to a later pass."""
    return {"max_restarts": -1, "max_task_retries": 1}


def heard(work: Iterable[dict[str, object]], rules: Rules, device: Device, resources: Resources) -> Iterator[pa.Table]:
    """Run the stages over the work, some shards at a time, and yield what comes."""
    shards = iter(work)
    while part := list(islice(shards, ROUND)):
        table = pa.Table.from_pylist(part, WORK)
        yield from flow(table, rules, device, resources).iter_batches(batch_size=None, batch_format="pyarrow")


def standing() -> Standing:
    """The queue before the pool, and the pool, at the latest look."""
    return Watchman.latest


@contextmanager
def cluster(address: str | None = None, cpus: int | None = None, folder: str | None = None) -> Iterator[Resources]:
    """A cluster to run on, with what to ask it for: the one at `address`, or one of this process alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_task_oom_retries", "2")
    quiet()
    with unannounced():
        _start(address, cpus, folder)
    try:
        yield resources(ray.cluster_resources())  # type: ignore[no-untyped-call]
    finally:
        ray.shutdown()


def _start(address: str | None, cpus: int | None, folder: str | None) -> None:
    if address is None or address == "local":
        ray.init(
            address="local",
            num_cpus=cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=folder,
        )
    else:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)


def resources(there: Mapping[str, float]) -> Resources:
    """What suits a machine or a cluster: a model on each GPU, or one for every four cores."""
    cpus, gpus, memory = there.get("CPU", 1.0), int(there.get("GPU", 0)), there.get("memory", 8 << 30)
    if gpus:
        readers = max(1, min(8 * gpus, int(cpus) - gpus))
        return Resources(readers=readers, reader_cpus=1.0, listeners=(gpus, gpus), listener_cpus=1.0, listener_gpus=1.0)
    pool = max(1, int(cpus) // 4)
    readers = max(1, int(cpus) // 8)
    each = max(0.5, (cpus - 0.5 * readers) / pool)
    share = int(0.8 * memory / (pool + readers))
    found = Resources(readers=readers, listeners=(pool, pool), listener_cpus=each)
    return replace(found, reader_memory=min(2 << 30, share), listener_memory=min(2 << 30, share))
