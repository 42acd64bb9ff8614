"""What the house itself costs: `python -m tests.benchmarks.scale`, a part of `make bench`.

Recordings are numbers and the model is free, so what remains is plan, engine, gathering and commit, on a cluster of
several nodes on this machine. A run of the full size is stopped in its middle and taken up again. Told are seconds per
recording as the corpus grows, the driver's memory (each size has a driver of its own, which plans it, too), what was
spilled, how long taking up takes, and how fast rows are committed where the engine costs nothing. Ends with 1 where a
goal is missed.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import psutil
import pyarrow as pa
import pyarrow.dataset
import ray
from ray._private.internal_api import get_memory_info_reply, get_state_from_address
from ray.cluster_utils import Cluster

from jobs.table import aligned
from pipeline import flow, machines
from pipeline.audio import AudioRules
from pipeline.bucketing import Buckets
from pipeline.inference import Device
from pipeline.inputs.found import PlanRules
from pipeline.inputs.rows import Row
from pipeline.lease import Lease
from pipeline.output import TRANSCRIPTS, add_generation
from pipeline.passes import Passes, missing_shards
from pipeline.plan import shards_of
from pipeline.planfile import write_plan
from pipeline.reading import Rules
from pipeline.stitching import Making
from pipeline.storage import Store
from pipeline.tally import Tally
from tests.benchmarks.committing import commit_rate
from tests.benchmarks.goals import Goal, at_most, leave
from tests.benchmarks.kept import keep
from tests.benchmarks.stand_ins import RATE, Echo, Numbers

COMMITTED = 20_000
"""Recordings that are committed without an engine."""
NODES = 3
FILES = 1_000
"""Of a table that are looked at together."""
Found = TypeVar("Found")


@dataclass(frozen=True)
class Size:
    """What one size of corpus took."""

    recordings: int
    shards: int
    plan_seconds: float
    startup: float
    """Seconds to the first rows."""
    seconds: float
    """From there to the last commit."""
    per_second: float
    """Recordings, through engine, gathering and commit."""
    driver_peak: int
    """Bytes of the driver's memory, when it was largest."""
    driver_begins: int
    """The same before anything was planned."""
    halves: float
    """Seconds of the second half, over those of the first."""
    spilled: int
    """Bytes that the engine wrote to disk for want of memory, since the cluster began."""


class Stopped(Exception):  # noqa: N818
    """Someone pressed Ctrl-C."""


class Watching:
    """Times and memory as a run goes on; stops it after so many recordings."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.began, self.stop_at = time.monotonic(), stop_at
        self.marks: list[tuple[float, int, int]] = []
        """Seconds, rows, and bytes of the driver's memory."""
        self.spilled = 0

    def __call__(self, tally: Tally) -> None:
        """Note how far it is."""
        done = sum(tally.counts.values())
        self.marks.append((time.monotonic() - self.began, done, psutil.Process().memory_info().rss))
        if self.stop_at is not None and done >= self.stop_at:
            raise Stopped


def main() -> None:
    """Grow, stop, go on; print and keep."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("--recordings", type=int, nargs="+", default=[4_000, 64_000, 1_000_000])
    parser.add_argument("--shard-size", type=int, default=1_000)
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--output", type=Path, help="default: results/<date>-scale.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, nodes(options.nodes) as address:
        sizes = [apart(grown, f"{folder}/{count}", count, options.shard_size, address) for count in options.recordings]
        resumed = apart(taken_up, f"{folder}/again", max(options.recordings), options.shard_size, address)
        committed = through_commit(f"{folder}/committed", options.shard_size)
    found = {"nodes": options.nodes, "shard_size": options.shard_size, "sizes": [asdict(size) for size in sizes]}
    found |= {"taken_up": resumed, "committed_per_second": committed}
    found |= {"goals": (goals := reached(sizes, resumed, committed))}
    keep("scale", found, options.output)
    print(table(sizes))
    print(f"\nstopped in the middle and taken up: first new rows after {resumed['seconds']:.1f} s, the rest too, once")
    print(f"through gathering and commit alone: {committed:,.0f} a second")
    leave(goals)


def apart(work: Callable[..., Found], *words: str | int) -> Found:
    """Do it in a process of its own, whose memory nothing else has grown."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *words).result()


class nodes:  # noqa: N801
    """A cluster of several nodes on this machine."""

    def __init__(self, count: int) -> None:
        self.cluster = Cluster()
        for _ in range(count):
            self.cluster.add_node(num_cpus=1, object_store_memory=200 << 20)

    def __enter__(self) -> str:
        return str(self.cluster.address)

    def __exit__(self, *_: object) -> None:
        self.cluster.shutdown()


def planned(store: Store, recordings: int, shard_size: int) -> float:
    """Write the plan; the seconds that it took."""
    began = time.monotonic()
    named = (("audio", Row(f"n/{at:07}", f"numbers://{at:07}", bytes=160_000)) for at in range(recordings))
    with tempfile.TemporaryFile() as file:
        write_plan(shards_of(named, PlanRules(shard_size=shard_size)), file)
        file.seek(0)
        add_generation(store, 1, file.read())
    return time.monotonic() - began


def run(store: Store, address: str, watching: Watching) -> Tally:
    """As a job does it."""
    flow.Reader, flow.Listener = Numbers, Echo  # type: ignore[assignment,misc]
    with machines.cluster(address) as resources, Lease(store, "scale") as lease:
        rules = Rules(store.url, "none", AudioRules(), Buckets())
        tally = Passes(
            store, lease, rules, Device("none"), resources, Making("none", "scale", RATE), "f" * 16, watching
        ).run()
        reply = get_memory_info_reply(get_state_from_address(ray.get_runtime_context().gcs_address))  # type: ignore[no-untyped-call]
        watching.spilled = int(reply.store_stats.spilled_bytes_total)
        return tally


def grown(folder: str, recordings: int, shard_size: int, address: str) -> Size:
    """One size, from plan to last commit."""
    print(f"{recordings:,} recordings ...", file=sys.stderr, flush=True)
    store, watching, before = Store(folder), Watching(), psutil.Process().memory_info().rss
    spent, watching.began = planned(store, recordings, shard_size), time.monotonic()
    tally = run(store, address, watching)
    if tally.counts["ok"] != recordings or missing_shards(store):
        raise SystemExit(f"{recordings} planned, {dict(tally.counts)} there")
    ended = time.monotonic() - watching.began
    first = watching.marks[0][0]
    middle = next(at for at, done, _ in watching.marks if done >= recordings / 2)
    return Size(
        recordings, -(-recordings // shard_size), spent, first, ended - first, recordings / (ended - first),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10, before, (ended - middle) / (middle - first),
        watching.spilled,
    )  # fmt: skip


def taken_up(folder: str, recordings: int, shard_size: int, address: str) -> dict[str, float]:
    """Stop in the middle; how long the next run takes to its first new rows. It ends with every row there once."""
    store = Store(folder)
    planned(store, recordings, shard_size)
    with suppress(Stopped):
        run(store, address, Watching(stop_at=recordings // 2))
    left, watching = len(missing_shards(store)), Watching()
    run(store, address, watching)
    rows = written(folder)
    if len(rows) != recordings or len(rows.unique()) != recordings:
        raise SystemExit(f"{recordings} planned, {len(rows)} rows of {len(rows.unique())} recordings there")
    return {"seconds": watching.marks[0][0], "shards_left": left}


def written(folder: str) -> pa.ChunkedArray:
    """The recordings of the table, some files at a time: of all together PyArrow would keep gigabytes of metadata."""
    files = sorted(map(str, Path(folder, TRANSCRIPTS).rglob("*.parquet")))
    parts = (pyarrow.dataset.dataset(files[at : at + FILES]) for at in range(0, len(files), FILES))
    return pa.chunked_array(
        chain.from_iterable(part.to_table(["recording_id"])["recording_id"].chunks for part in parts)
    )


def through_commit(folder: str, shard_size: int) -> float:
    """Recordings a second, through gathering and commit alone."""
    store, model = Store(folder), Echo(Device("none"))
    planned(store, COMMITTED, shard_size)
    return commit_rate(store, COMMITTED, lambda rules: lambda work: map(model, Numbers(rules)(work)), RATE)


def reached(sizes: Sequence[Size], resumed: dict[str, float], committed: float) -> list[Goal]:
    """What was wanted, and what is."""
    small, large = sizes[0], sizes[-1]
    grown_by = (large.driver_peak - small.driver_peak) / max(1, large.recordings - small.recordings)
    return [
        *(
            at_most(f"time of one at {b.recordings:,} over {a.recordings:,}", a.per_second / b.per_second, 1.1)
            for a, b in pairwise(sizes)
        ),
        at_most(f"driver's bytes of each from {small.recordings:,} to {large.recordings:,}", grown_by, 100),
        at_most("bytes spilled", max(size.spilled for size in sizes), 0),
        at_most("seconds until it is taken up", resumed["seconds"], 60),
        at_most("milliseconds of a row through commit", 1_000 / committed, 0.2),
    ]


def table(sizes: Sequence[Size]) -> str:
    """For people."""
    head = (
        "recordings",
        "shards",
        "plan s",
        "start-up s",
        "seconds",
        "per second",
        "driver MiB",
        "at first",
        "2nd half",
        "spilled B",
    )
    rows = []
    for size in sizes:
        counts = (f"{size.recordings:,}", f"{size.shards:,}")
        seconds = tuple(f"{value:.1f}" for value in (size.plan_seconds, size.startup, size.seconds))
        memory = (f"{size.driver_peak / (1 << 20):.0f}", f"{size.driver_begins / (1 << 20):.0f}")
        rows.append((*counts, *seconds, f"{size.per_second:,.0f}", *memory, f"{size.halves:.2f}", f"{size.spilled:,}"))
    return aligned([head, *rows])


if __name__ == "__main__":
    main()
