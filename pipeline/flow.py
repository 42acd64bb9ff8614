"""The whole pipeline on one screen: shards in, heard segments out, on Ray Data.

    work ── Reader (CPU actors) ── batches ── Listener (actor pool, one model each) ── heard segments
            sources, audio, features, bucketing     inference, decoding

The engine moves, balances, scales and restarts. What it says about its success is not believed: see `passes`.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from itertools import islice

import pyarrow as pa
import ray.data
from ray.data import Dataset

from pipeline import inference, pools
from pipeline.batches import folded, unfolded
from pipeline.inference import Device
from pipeline.leaving import leave
from pipeline.reading import WORK, Reader, Rules
from pipeline.resources import Resources

ROUND = 5_000
"""Calls that the engine is given at once: it notes some 12 KB of each, in the driver, until it has done them all."""


class Listener(inference.Listener):
    """On the engine, where what goes in and what comes out are single rows."""

    def __call__(self, batch: pa.Table) -> pa.Table:
        """One batch -> all its segments, folded."""
        return folded(super().__call__(batch))


def flow(work: Sequence[pa.Table], rules: Rules, device: Device, resources: Resources) -> Dataset:
    """The stages; every table is the shards of one call of a reader."""
    in_hand = 1 if rules.apart else pools.IN_FLIGHT  # with care, whoever dies takes nothing with it that was not tried
    pools.conduct(resources, in_hand)
    return (
        ray.data.from_blocks(list(work))
        .map_batches(
            Reader,
            fn_constructor_args=(rules, leave),
            batch_size=None,
            batch_format="pyarrow",
            compute=pools.readers(resources, in_hand),
            num_cpus=resources.reader_cpus,
            memory=resources.reader_memory,
            ray_remote_args_fn=pools.retries,
        )
        .map_batches(
            Listener,
            fn_constructor_args=(device, leave),
            batch_size=1,
            batch_format="pyarrow",
            zero_copy_batch=True,
            compute=pools.listeners(resources, in_hand),
            num_cpus=resources.listener_cpus,
            num_gpus=resources.listener_gpus,
            memory=resources.listener_memory,
            ray_remote_args_fn=pools.retries,
        )
    )


def heard(
    work: Iterable[Sequence[Mapping[str, object]]],
    rules: Rules,
    device: Device,
    resources: Resources,
    at_once: int = ROUND,
) -> Generator[pa.Table]:
    """Run the stages over the work, so many calls of a reader at a time, and yield what comes.

    Whoever stops closes it: a flow that goes on while the engine is shut down takes this process with it.
    """
    calls = (pa.Table.from_pylist(list(shards), WORK) for shards in work)
    while part := list(islice(calls, at_once)):
        for block in flow(part, rules, device, resources).iter_batches(batch_size=None, batch_format="pyarrow"):
            yield unfolded(block)
