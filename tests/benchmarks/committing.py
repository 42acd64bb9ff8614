"""How fast rows become a table where the engine costs nothing: a part of `python -m tests.benchmarks.scale`.

What readers and models would hand over is made beforehand; timed is the driver's own work: rows gathered to shards,
checked against the plan, written and committed.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

import pyarrow as pa

from pipeline import flow
from pipeline.audio import AudioRules
from pipeline.batches import unfolded
from pipeline.bucketing import Buckets
from pipeline.inference import Device
from pipeline.lease import Lease
from pipeline.machines import Resources
from pipeline.passes import Passes
from pipeline.reading import Rules
from pipeline.stitching import Making
from pipeline.storage import Store
from pipeline.tally import Tally

Batches = Callable[[pa.Table], Iterator[pa.Table]]
"""Shards to what comes back of them."""


def commit_rate(store: Store, recordings: int, hear: Callable[[Rules], Batches], rate: int) -> float:
    """Recordings a second, of a plan that is written already."""
    began: list[float] = []

    def heard(work: Iterator[list[dict[str, object]]], rules: Rules, *_: object) -> Iterator[pa.Table]:
        shards = pa.Table.from_pylist(list(chain.from_iterable(work)))
        tables = [unfolded(block) for block in hear(rules)(shards)]
        began.append(time.monotonic())
        yield from tables

    rules, making = Rules(store.url, "none", AudioRules(), Buckets()), Making("none", "committing", rate)
    with _engine(heard), Lease(store, "committing") as lease:
        tally = Passes(store, lease, rules, Device("none"), Resources(), making, "f" * 16, _unwatched).run()
    if tally.counts["ok"] != recordings or len(began) != 1:
        raise SystemExit(f"{recordings} planned, {dict(tally.counts)} there after {len(began)} passes")
    return recordings / (time.monotonic() - began[0])


def _unwatched(_: Tally) -> None:
    """Nobody looks on."""


@contextmanager
def _engine(heard: Callable[..., Iterator[pa.Table]]) -> Iterator[None]:
    real = flow.heard
    flow.heard = heard
    try:
        yield
    finally:
        flow.heard = real
