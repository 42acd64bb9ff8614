"""What the house itself costs: `python -m tests.benchmarks.scale`, a part of `make bench`.

Recordings are numbers and the model is free, so what remains is plan, engine, gathering and commit, on a cluster of
several nodes on this machine. A run of the full size is stopped in its middle and taken up again. Told are seconds per
recording as the corpus grows, the driver's memory, what was spilled, and how long taking up takes.
"""

import argparse
import datetime
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import ray
from ray._private.internal_api import get_memory_info_reply, get_state_from_address
from ray.cluster_utils import Cluster

from jobs.table import aligned
from pipeline import flow, machines
from pipeline.audio import AudioRules
from pipeline.batches import HEARD, Ready, census, folded, keys, pack
from pipeline.bucketing import Buckets
from pipeline.inference import Device
from pipeline.inputs.found import PlanRules
from pipeline.inputs.rows import Row
from pipeline.lease import Lease
from pipeline.output import add_generation
from pipeline.passes import Passes, missing_shards
from pipeline.plan import shards_of
from pipeline.planfile import Place, shard_rows, write_plan
from pipeline.reading import Rules
from pipeline.staying import Leave, stay
from pipeline.stitching import Making
from pipeline.storage import Store
from pipeline.tally import Tally

RESULTS = Path(__file__).parent / "results"
RATE = 16_000
SECONDS = 5
"""Of each recording, if it were one."""
TOGETHER = 256
"""Recordings of a batch."""
NODES = 3
WORDS = "so much for the words of a recording that nobody made"


class Numbers:
    """Stands where the reader stands: reads the plan, and no audio."""

    def __init__(self, rules: Rules, leave: Leave = stay) -> None:
        self.rules = rules

    def __call__(self, work: pa.Table) -> Iterator[pa.Table]:
        """Shards to batches."""
        for shard in work.to_pylist():
            place = Place(shard["shard"], shard["row_group"], shard["first"], shard["rows"])
            with Store(self.rules.output).open(shard["plan"]) as file:
                rows = shard_rows(file, place).select(["recording_id", "uri"]).to_pylist()
            arrived = set(shard["done"] or ())
            made = [number(place.shard, at, row) for at, row in enumerate(rows) if at not in arrived]
            for first in range(0, len(made), TOGETHER):
                yield pack(made[first : first + TOGETHER])
            yield pack([census(place.shard, len(rows))])


def number(shard: str, ordinal: int, row: dict[str, str]) -> Ready:
    """A recording without audio."""
    samples = SECONDS * RATE
    whole = {"start": 0, "samples": samples, "core_begin": 0, "core_end": samples, "total": samples}
    place = {"shard": shard, "ordinal": ordinal, "channels": 1, "index": 0, "last": True}
    return Ready({**place, **whole, "recording_id": row["recording_id"], "uri": row["uri"]}, None)


class Echo:
    """Stands where the model stands: says the same of everything, and next to nothing for it."""

    def __init__(self, where: Device, leave: Leave = stay) -> None:
        words = [
            {"word": word, "start": at * RATE // 4, "end": (at + 1) * RATE // 4, "confidence": 0.5}
            for at, word in enumerate(WORDS.split())
        ]
        effort = {"heard": 1, "busy": 0.0, "idle": 0.0, "splits": 0, "retries": 0, "reading": 0.0}
        said = {"text": WORDS, "words": words, "seconds": float(SECONDS), "padding": 0.0}
        silent = {"seconds": 0.0, "padding": 0.0}
        self.either = pa.Table.from_pylist([said | {"effort": effort}, said, silent], HEARD.remove(0))

    def __call__(self, batch: pa.Table) -> pa.Table:
        """One batch to a row for each of its recordings."""
        owners = keys(batch)
        spoken = pc.struct_field(owners, "census").is_null()
        which = pc.if_else(spoken, 1, 2).to_numpy(zero_copy_only=False).copy()
        which[0] *= which[0] - 1  # the first of the spoken tells the effort
        return folded(self.either.take(which).add_column(0, HEARD.field("key"), owners))


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
    driver_growth: float
    """Bytes of the driver's memory per recording, from the first rows to the end."""
    driver_peak_mib: int
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
        self.spilled = 0

    def __call__(self, tally: Tally) -> None:
        """Note how far it is."""
        done, memory = sum(tally.counts.values()), psutil.Process().memory_info().rss
        self.marks.append((time.monotonic() - self.began, done, memory))
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
    flow.Reader, flow.Listener = Numbers, Echo  # type: ignore[assignment,misc]
    with tempfile.TemporaryDirectory() as folder, nodes(options.nodes) as address:
        sizes = [grown(f"{folder}/{count}", count, options.shard_size, address) for count in options.recordings]
        resumed = taken_up(f"{folder}/again", max(options.recordings), options.shard_size, address)
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    found = {"date": today, "nodes": options.nodes, "cores": os.cpu_count(), "shard_size": options.shard_size}
    found |= {"sizes": [asdict(size) for size in sizes], "taken_up": resumed}
    (options.output or RESULTS / f"{today}-scale.json").write_text(json.dumps(found, indent=1) + "\n")
    print(table(sizes))
    print(f"\nstopped in the middle and taken up: first new rows after {resumed['seconds']:.1f} s")


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
    store, watching = Store(folder), Watching()
    spent, watching.began = planned(store, recordings, shard_size), time.monotonic()
    tally = run(store, address, watching)
    if tally.counts["ok"] != recordings or missing_shards(store):
        raise SystemExit(f"{recordings} planned, {dict(tally.counts)} there")
    ended = time.monotonic() - watching.began
    first, _, before = watching.marks[0]
    middle = next(at for at, done, _ in watching.marks if done >= recordings / 2)
    memory = [mark[2] for mark in watching.marks]
    return Size(
        recordings, -(-recordings // shard_size), spent, first, ended - first, recordings / (ended - first),
        (memory[-1] - before) / recordings, max(memory) >> 20, (ended - middle) / (middle - first),
        watching.spilled,
    )  # fmt: skip


def taken_up(folder: str, recordings: int, shard_size: int, address: str) -> dict[str, float]:
    """Stop in the middle; how long the next run takes to its first new rows, and what it does not do again."""
    store = Store(folder)
    planned(store, recordings, shard_size)
    with suppress(Stopped):
        run(store, address, Watching(stop_at=recordings // 2))
    left, watching = len(missing_shards(store)), Watching(stop_at=1)
    with suppress(Stopped):
        run(store, address, watching)
    return {"seconds": watching.marks[0][0], "shards_left": left}


def table(sizes: Sequence[Size]) -> str:
    """For people."""
    head = (
        "recordings",
        "shards",
        "plan s",
        "start-up s",
        "seconds",
        "per second",
        "driver B each",
        "MiB",
        "2nd half",
        "spilled B",
    )
    rows = []
    for size in sizes:
        counts = (f"{size.recordings:,}", f"{size.shards:,}")
        seconds = tuple(f"{value:.1f}" for value in (size.plan_seconds, size.startup, size.seconds))
        memory = (f"{size.driver_growth:.0f}", f"{size.driver_peak_mib}")
        rows.append((*counts, *seconds, f"{size.per_second:,.0f}", *memory, f"{size.halves:.2f}", f"{size.spilled:,}"))
    return aligned([head, *rows])


if __name__ == "__main__":
    main()
