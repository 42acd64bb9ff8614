"""Our model alone: what a pipeline could not be faster than.

Clips are decoded, cut into the batches that a run makes of them, and held in memory; then as many models as a run has
on these cores, one thread each, hear them. Nothing is read meanwhile, and nothing written.
"""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier

import fsspec
import soundfile
import torch

from models import load_model
from pipeline.bucketing import Buckets, cuts, padding
from tests.benchmarks.workloads import RATE, Clips

PATIENCE = 300
"""Seconds that the slowest of the models may take to load."""


@dataclass(frozen=True)
class Alone:
    """What is heard, and by how many."""

    corpus: str
    """A folder of audio files."""
    storage: dict[str, object]
    """What its file system is told."""
    model: str
    dtype: str
    models: int
    buckets: Buckets


def hear_alone(alone: Alone) -> tuple[float, float]:
    """Seconds that the models took together, and the share of padding."""
    context = get_context("spawn")
    begin, taken, ended = context.Barrier(alone.models + 1), context.Value("i", 0), context.Value("d", 0.0)
    models = [context.Process(target=_hear, args=(alone, begin, taken, ended)) for _ in range(alone.models)]
    for model in models:
        model.start()
    batches = in_batches(alone)
    begin.wait(PATIENCE)
    began = time.monotonic()
    for model in models:
        model.join()
    seconds = ended.value - began  # clocks of processes on one machine agree
    if any(model.exitcode for model in models):
        raise SystemExit("limit: a model died")
    room = [len(batch) * max(map(len, batch)) for batch in batches]
    shares = (padding([len(clip) for clip in batch]) for batch in batches)
    return seconds, sum(share * size for share, size in zip(shares, room, strict=True)) / sum(room)


def in_batches(alone: Alone) -> Sequence[Clips]:
    """The corpus, decoded, the longest clips first."""
    system, path = fsspec.core.url_to_fs(alone.corpus, **alone.storage)
    files = (io.BytesIO(system.cat_file(name)) for name in system.ls(path, detail=False))
    clips = sorted((soundfile.read(file, dtype="float32")[0] for file in files), key=len, reverse=True)
    return [clips[first:end] for first, end in cuts([len(clip) / RATE for clip in clips], alone.buckets)]


def _hear(alone: Alone, begin: Barrier, taken: "Synchronized[int]", ended: "Synchronized[float]") -> None:
    """One model: the next batch that none has taken, until all are."""
    torch.set_num_threads(1)
    model, batches = load_model(alone.model, alone.dtype), in_batches(alone)
    model.transcribe(batches[-1][-1:])  # what is made once and kept
    begin.wait(PATIENCE)
    while (at := _next(taken)) < len(batches):
        model.transcribe(batches[at])
    with ended.get_lock():
        ended.value = max(ended.value, time.monotonic())


def _next(taken: "Synchronized[int]") -> int:
    with taken.get_lock():
        taken.value += 1
        return taken.value - 1
