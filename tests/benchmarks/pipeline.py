"""The whole pipeline beside what people have: `python -m tests.benchmarks.pipeline`, a part of `make bench`.

One skewed corpus in one bucket, the same weights, one run; each side in a process of its own, one after the other:

script   transformers, 16 files at a time as they come: read, decode, pad, hear, spell
ray      the same in Ray Data's `map_batches`
ours     `transcribe`, to a table in the bucket
limit    our models alone, over clips that are decoded, cut and sorted in memory

Start-up is kept apart, and so is the end of processes: a side's clock runs from its first batch's arrival at the model
until its last text is written. Noise is heard with random weights of HuBERT base's shape, so texts mean nothing; speed
does not depend on them. Ends with 1 where a goal is missed.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import ray
import soundfile
import torch
import transformers as hf

from jobs import Transcribe, transcribe
from jobs.table import aligned
from pipeline.bucketing import Buckets, cuts
from pipeline.machines import Resources
from tests.benchmarks.buckets import bucket
from tests.benchmarks.goals import Goal, at_least, at_most, leave
from tests.benchmarks.kept import keep
from tests.benchmarks.limit import Alone, hear_alone
from tests.benchmarks.workloads import RATE, Clips, skewed_clips, write_speller
from tests.memory import watched

WINDOW = 1024
"""Clips that a run sorts together, once it is under way."""
SIDES = ("script", "ray", "ours", "limit")
BATCH = 16
"""Of a script."""
FASTER = {"float32": 4, "bfloat16": 7}
"""What others' time over ours is to be."""


@dataclass(frozen=True)
class Task:
    """What every side is given."""

    corpus: str
    output: str
    model: str
    dtype: str
    threads: int


@dataclass(frozen=True)
class Told:
    """What a side says of itself."""

    seconds: float
    """From its first batch's arrival at the model to its last text written."""
    startup: float
    """Until then."""
    padding: float


@dataclass(frozen=True)
class Measured:
    """A side, seen from outside."""

    side: str
    told: Told
    peak_mib: int
    """Resident memory of all its processes, what they share left out."""


def main() -> None:
    """Make the corpus, run the sides, print and keep."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.pipeline", description=__doc__)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--sides", nargs="+", default=SIDES, choices=SIDES)
    parser.add_argument("--output", type=Path, help="default: results/<date>-pipeline-<dtype>.json")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(asdict(run(options.side, Task(**json.loads(sys.stdin.read()))))))
        return
    clips = skewed_clips(options.clips)
    with tempfile.TemporaryDirectory() as folder, bucket() as root:
        write_speller(Path(folder))
        write_corpus(clips, f"{root}/corpus")
        asked = [
            Task(f"{root}/corpus", f"{root}/{side}", folder, options.dtype, os.cpu_count() or 1)
            for side in options.sides
        ]
        found = [measure(side, task) for side, task in zip(options.sides, asked, strict=True)]
    keep(f"pipeline-{options.dtype}", summary(clips, options.dtype, root, found), options.output)
    print(table(found, sum(map(len, clips)) / RATE))
    print(f"\npadding of a full window of {WINDOW} such clips: {kept_even(WINDOW):.1%}")
    leave(reached(found, options.dtype))


def reached(found: Sequence[Measured], dtype: str = "float32") -> list[Goal]:
    """What was wanted, and what is, of the sides that ran."""
    told = {one.side: one.told for one in found}
    if "ours" not in told:
        return []
    ours = told["ours"]
    others = [side for side in ("script", "ray") if side in told]
    goals = [
        at_least(f"{side}: its time over ours", told[side].seconds / ours.seconds, FASTER[dtype]) for side in others
    ]
    goals.append(at_most("% of padding", 100 * ours.padding, 3))
    if "limit" in told:
        goals.append(at_most("our time over the model's alone", ours.seconds / told["limit"].seconds, 1.08))
    return goals


def write_corpus(clips: Clips, folder: str) -> None:
    """A FLAC file each, in an order that has nothing to do with lengths."""
    system, path = files(folder)
    for number, clip in enumerate(clips):
        sound = io.BytesIO()
        soundfile.write(sound, clip, RATE, format="FLAC")
        system.pipe_file(f"{path}/{number:05}.flac", sound.getvalue())


def files(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a bucket, and the path in it."""
    return fsspec.core.url_to_fs(url, **storage(url))


def storage(url: str) -> dict[str, object]:
    """What its file system is told."""
    return {"endpoint_url": os.environ["AWS_ENDPOINT_URL"]} if url.startswith("s3:") else {"auto_mkdir": True}


def measure(side: str, task: Task) -> Measured:
    """Run a side in a process of its own, and watch its memory."""
    command = [sys.executable, "-m", "tests.benchmarks.pipeline", "--side", side]
    print(f"{side} ...", file=sys.stderr, flush=True)
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child,
        watched(child.pid) as looks,
    ):
        said, _ = child.communicate(json.dumps(asdict(task)))
    if child.returncode:
        raise SystemExit(f"{side} failed")
    return Measured(side, Told(**json.loads(said.splitlines()[-1])), max(sum(look.values()) for look in looks) >> 20)


def run(side: str, task: Task) -> Told:
    """One side, in its own process."""
    return {"script": script, "ray": ray_data, "ours": ours, "limit": limit}[side](task)


class Plain:
    """Transformers, as its documentation shows."""

    def __init__(self, task: Task) -> None:
        torch.set_num_threads(task.threads)
        self.dtype = getattr(torch, task.dtype)
        self.extractor = hf.AutoFeatureExtractor.from_pretrained(task.model)
        self.tokenizer = hf.Wav2Vec2CTCTokenizer(f"{task.model}/vocab.json")
        self.model = hf.HubertForCTC.from_pretrained(task.model, dtype=self.dtype).eval()

    @torch.inference_mode()
    def __call__(self, batch: dict[str, object]) -> dict[str, object]:
        """Files to texts."""
        began = time.monotonic()
        clips = [soundfile.read(io.BytesIO(sound), dtype="float32")[0] for sound in batch["bytes"]]  # type: ignore[attr-defined]
        inputs = self.extractor(clips, sampling_rate=RATE, padding=True, return_tensors="pt")
        logits = self.model(inputs.input_values.to(self.dtype)).logits
        texts = self.tokenizer.batch_decode(logits.argmax(-1))
        longest = max(map(len, clips))
        rows = {"path": batch["path"], "text": np.array(texts), "heard": np.array([len(clip) for clip in clips])}
        return rows | {"room": np.full(len(clips), longest), "began": np.full(len(clips), began)}


def script(task: Task) -> Told:
    """Read, hear, spell, write: a loop."""
    began, plain = time.monotonic(), Plain(task)
    system, path = files(task.corpus)
    names = sorted(system.ls(path, detail=False))
    tables = []
    for first in range(0, len(names), BATCH):
        part = names[first : first + BATCH]
        tables.append(plain({"path": np.array(part), "bytes": [system.cat_file(name) for name in part]}))
    table = pa.concat_tables(pa.table({name: list(column) for name, column in one.items()}) for one in tables)
    system, path = files(task.output)
    with system.open(f"{path}/texts.parquet", "wb") as file:
        pa.parquet.write_table(table, file)
    return plain_told(table, began)


def ray_data(task: Task) -> Told:
    """The same, handed to the engine."""
    began = time.monotonic()
    ray.init(address="local", include_dashboard=False, log_to_driver=False, num_cpus=task.threads)
    ray.data.DataContext.get_current().enable_progress_bars = False
    system, path = files(task.corpus)
    dataset = ray.data.read_binary_files(path, filesystem=system, include_paths=True).map_batches(
        Plain, fn_constructor_args=(task,), batch_size=BATCH, concurrency=1, num_cpus=1
    )
    system, path = files(task.output)
    dataset.write_parquet(path, filesystem=system)
    ended = time.monotonic()
    table = pa.dataset.dataset(path, filesystem=system).to_table()
    return plain_told(table, began, ended)


def plain_told(table: pa.Table, began: float, ended: float | None = None) -> Told:
    """The first batch's arrival is in the rows: clocks of processes on one machine agree."""
    first = min(table["began"].to_pylist())
    heard, room = (sum(table[name].to_pylist()) for name in ("heard", "room"))
    return Told((ended or time.monotonic()) - first, first - began, 1 - heard / room)


def ours(task: Task) -> Told:
    """What `steno transcribe` does."""
    report = transcribe(Transcribe((task.corpus,), task.output, task.model, dtype=task.dtype, cpus=task.threads))
    if report.failed or report.counts["ok"] + report.counts["empty"] == 0:
        raise SystemExit(f"ours: {dict(report.counts)}")
    first, last = report.course[0].elapsed - report.course[0].busy, report.course[-1].elapsed
    return Told(last - first, first, report.padding)


def limit(task: Task) -> Told:
    """Our models, with nothing before them and nothing behind."""
    began = time.monotonic()
    alone = Alone(task.corpus, storage(task.corpus), task.model, task.dtype, task.threads, bucketed(task.threads))
    seconds, padded = hear_alone(alone)
    return Told(seconds, time.monotonic() - began - seconds, padded)


def bucketed(models: int) -> Buckets:
    """What a run of so many models makes batches by."""
    there = Resources(begun=models)
    return Buckets(budget=there.batch_seconds, parts=there.batches)


def kept_even(count: int) -> float:
    """The share of padding where a window is full, of so many clips: reckoned, not run."""
    lengths = sorted((len(clip) / RATE for clip in skewed_clips(count)), reverse=True)
    batches = [lengths[first:end] for first, end in cuts(lengths, bucketed(os.cpu_count() or 1))]
    return 1 - sum(lengths) / sum(len(batch) * max(batch) for batch in batches)


def summary(clips: Clips, dtype: str, root: str, found: Sequence[Measured]) -> dict[str, object]:
    """What is kept."""
    seconds = {one.side: one.told.seconds for one in found}
    ratios = {
        f"{side} / ours": seconds[side] / seconds["ours"] for side in seconds if side != "ours" and "ours" in seconds
    }
    return {
        "corpus": {"clips": len(clips), "seconds": sum(map(len, clips)) / RATE, "storage": root.partition(":")[0]},
        "dtype": dtype,
        "padding_of_a_full_window": kept_even(WINDOW),
        "sides": [asdict(one) for one in found],
        "ratios": ratios,
        "goals": reached(found, dtype),
    }


def table(found: Sequence[Measured], seconds: float) -> str:
    """For people."""
    ours = next((one.told.seconds for one in found if one.side == "ours"), None)
    rows = [("side", "seconds", "x real time", "ours is faster by", "start-up s", "padding", "peak MiB")]
    for one in found:
        ratio = "" if ours is None else f"{one.told.seconds / ours:.2f}"
        spent, startup = f"{one.told.seconds:.1f}", f"{one.told.startup:.1f}"
        fast = f"{seconds / one.told.seconds:.1f}"
        rows.append((one.side, spent, fast, ratio, startup, f"{one.told.padding:.1%}", str(one.peak_mib)))
    return aligned(rows)


if __name__ == "__main__":
    main()
