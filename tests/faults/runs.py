"""Runs to trouble: `steno transcribe` in a process of its own over a small spoken corpus, and its table to compare."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import Transcribe, transcribe
from pipeline import flow, inference, machines
from pipeline.inference import Device
from pipeline.output import TRANSCRIPTS
from pipeline.reading import WORK, Reader, Rules
from pipeline.resources import Resources
from pipeline.storage import Store

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "jobs" / "demo" / "corpus"
MODEL = ROOT / "jobs" / "demo" / "checkpoints" / "lasr"
MEDDLING = Path(__file__).parent / "meddling"
LIMIT = 400.0
"""Seconds for any one run here."""
CLOSE = 1e-4
"""By how much two confidences of the same words may differ."""
Row = dict[str, object]


def spoken(folder: Path, count: int, named: Mapping[int, str] | None = None) -> Path:
    """So many short recordings of the demo; some under other names."""
    folder.mkdir(parents=True)
    clips = sorted(path for path in (DEMO / "loose").iterdir() if path.stat().st_size < 30_000)
    for number, clip in enumerate(itertools.islice(itertools.cycle(clips), count)):
        shutil.copy(clip, folder / f"{number:03}{(named or {}).get(number, '')}{clip.suffix}")
    return folder


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    out: str
    err: str

    def said(self) -> dict[str, object]:
        """What it printed for programs."""
        found: dict[str, object] = json.loads(self.out)
        return found


@dataclass(frozen=True)
class Run:
    """A run under way."""

    process: "subprocess.Popen[str]"
    began: float = field(default_factory=time.monotonic)

    def end(self, limit: float = LIMIT) -> Ended:
        """Wait for it."""
        try:
            out, err = self.process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self.fell()
            raise
        return Ended(self.process.returncode, out, err)

    def fell(self) -> None:
        """End it and whatever it has started."""
        kill_family(self.process)

    def workers(self, stage: str) -> list[psutil.Process]:
        """The actors of a stage, `Reader` or `Listener`, that are up."""
        return self.descendants(f"({stage})")

    def descendants(self, called: str) -> list[psutil.Process]:
        """Processes that it has started, by what their command lines hold."""
        found = []
        for one in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if called in " ".join(one.cmdline()) and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
            except psutil.Error:  # it has just gone
                continue
        return found


def kill_family(process: "subprocess.Popen[str]") -> None:
    """End a process and whatever it has started."""
    for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        one.kill()
    process.wait()


def start(
    inputs: Path | str | Iterable[Path | str],
    output: Path | str,
    *words: object,
    meddle: str = "",
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Begin to transcribe; `meddle` names what is broken in it."""
    given = [inputs] if isinstance(inputs, Path | str) else inputs
    command = [sys.executable, "-m", "jobs.cli", "transcribe", *map(str, given), "-o", str(output), "-m", str(MODEL)]
    path = f"{MEDDLING}{os.pathsep}{ROOT}" if meddle else str(ROOT)
    around = os.environ | {"PYTHONPATH": path, "MEDDLE": meddle, "OMP_NUM_THREADS": "1"} | dict(environment or {})
    cpus = [] if "--address" in words else ["--cpus", "2"]
    asked = [*command, "--json", *cpus, *map(str, words)]
    pipe = subprocess.PIPE
    return Run(subprocess.Popen(asked, cwd=ROOT, env=around, stdout=pipe, stderr=pipe, text=True))


@contextmanager
def engineless() -> Iterator[None]:
    """Jobs of this process run their stages one after the other, here, instead of on the engine."""

    def heard(work: Iterable[list[dict[str, object]]], rules: Rules, device: Device, *_: object) -> Iterator[pa.Table]:
        reader, listener = Reader(rules), inference.Listener(device)
        for shards in work:
            for batch in reader(pa.Table.from_pylist(shards, WORK)):
                yield listener(batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machines, "cluster", lambda *_, **__: nullcontext(Resources()))
        patch.setattr(machines, "nodes", list)
        patch.setattr(flow, "heard", heard)
        yield


def without_engine(inputs: Path, output: Path, shard_size: int, model: Path = MODEL) -> list[Row]:
    """The table that nothing can trouble."""
    with engineless():
        assert transcribe(Transcribe((str(inputs),), str(output), str(model), shard_size=shard_size)).passes == 1
    return rows(output)


def until(happened: Callable[[], object], run: Run, limit: float = LIMIT) -> None:
    """Wait for it, while the run goes on."""
    over = time.monotonic() + limit
    while not happened():
        assert run.process.poll() is None, f"it ended first: {run.end()}"
        assert time.monotonic() < over, "it never happened"
        time.sleep(0.02)


def shards(output: Path) -> dict[str, tuple[int, int]]:
    """The shards that are written, and what tells one file of that name from another."""
    found = {path.name: path.stat() for path in (output / TRANSCRIPTS).glob("*.parquet")}
    return {name: (state.st_ino, state.st_mtime_ns) for name, state in found.items()}


def rows(output: Path | str) -> list[Row]:
    """The table without what is new in every run, in one order."""
    store = Store(str(output))
    tables = []
    for entry in store.names(TRANSCRIPTS):
        with store.open(entry.uri) as file:
            tables.append(pq.ParquetFile(file, pre_buffer=False).read().drop_columns("run_id"))
    found = [cast("Row", comparable(row)) for table in tables for row in table.to_pylist()]
    return sorted(found, key=lambda row: (str(row["recording_id"]), str(row["channel"])))


class Confidence(float):
    """As sure as another, up to how a sum of many terms is rounded: that depends on the batch."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and abs(self - other) <= CLOSE

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]


def comparable(value: object) -> object:
    """A row, or a part of one, that is equal to another where nothing but the last digits of a confidence differ."""
    if isinstance(value, dict):
        return {
            name: Confidence(part) if name == "confidence" and isinstance(part, float) else comparable(part)
            for name, part in value.items()
        }
    return [comparable(part) for part in value] if isinstance(value, list) else value


def failures(found: Iterable[Row]) -> dict[str, str]:
    """The class of each failed row's error, by the name of its file."""
    return {Path(str(row["recording_id"])).name: row["error"]["class"] for row in found if row["error"]}  # type: ignore[index]


def good(found: Iterable[Row], *but: str) -> list[Row]:
    """The rows of recordings whose names hold none of these words."""
    return [row for row in found if not any(word in str(row["recording_id"]) for word in but)]
