"""Our models beside transformers: `make bench`.

Both load the same weights and read the same clips, in turn, in one process; front ends are included. Figures are
ratios of the two, and each side's share of a plain matrix product timed between them, because machines differ and
drift. Peak memory is of a process of its own per side. Everything is printed, and kept as JSON under results/.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from models import SpeechModel, load_model
from models.protocol import FrameLogits
from tests.benchmarks.kept import keep
from tests.benchmarks.workloads import (
    RATE,
    SIZES,
    Clips,
    Reference,
    arrival_batches,
    equal_clips,
    padding_share,
    skewed_clips,
    sorted_batches,
)

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
OURS = {"fp32": "float32", "bf16": "bfloat16"}


@dataclass(frozen=True)
class Line:
    """One comparison."""

    model: str
    clips: str
    ours: str
    theirs: str
    ratio: float
    """Their time over ours: the median over repetitions of the two run in turn."""
    ratios: list[float]
    our_gemm_share: float
    """Useful operations per second, over those of a matrix product in float32 in the same run."""
    their_gemm_share: float
    our_times_real_time: float
    our_padding: float
    their_padding: float
    gemm_gflops: float


@dataclass(frozen=True)
class Memory:
    """Peak memory of a process that loads one side and reads one batch of equal clips."""

    model: str
    ours_mib: float
    theirs_mib: float


def main() -> None:
    """Parse, run, print, keep."""
    options = _options()
    torch.set_num_threads(options.threads)
    if options.memory:
        print(_peak_memory(options.memory, options.models[0], options.folder, options.batch))
        return
    lines: list[Line] = []
    memory: list[Memory] = []
    for name in options.models:
        with tempfile.TemporaryDirectory() as folder:
            path = _save(name, Path(folder))
            if not options.skip_memory:
                memory.append(_memory(name, path, options.batch))
                print(f"{name}: peak {memory[-1].ours_mib:.0f} MiB, theirs {memory[-1].theirs_mib:.0f} MiB", flush=True)
            for line in _compare(name, path, options):
                lines.append(line)
                print(_row(line), flush=True)
        found = {"comparisons": [asdict(line) for line in lines], "peak_memory": [asdict(entry) for entry in memory]}
        kept = keep(f"models-{options.device}", found, options.output, options.device)
        print(f"kept in {kept}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.models", description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--dtypes", nargs="+", default=["fp32", "bf16"], choices=list(DTYPES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch", type=int, default=8, help="clips of 10 s in the equal workload")
    parser.add_argument("--skewed", type=int, default=64, help="clips in the skewed workload; 0 leaves it out")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--repeat-skewed", type=int, default=2)
    parser.add_argument("--output", type=Path, help="default: results/<date>-<device>.json")
    parser.add_argument("--skip-memory", action="store_true")
    parser.add_argument("--memory", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _save(name: str, folder: Path) -> Path:
    torch.manual_seed(0)
    SIZES[name].build().save_pretrained(folder)
    return folder


def _load_theirs(name: str, path: Path, dtype: str, device: str) -> Reference:
    kind = getattr(transformers, json.loads((path / "config.json").read_text())["architectures"][0])
    return Reference(SIZES[name], kind.from_pretrained(path).to(device), DTYPES[dtype])


def _compare(name: str, path: Path, options: argparse.Namespace) -> Iterator[Line]:
    """Every pairing of number types on both workloads."""
    heavy = SIZES[name].heavy
    equal = equal_clips(max(2, options.batch // 4) if heavy else options.batch)
    skewed = [] if heavy else skewed_clips(options.skewed)
    work = _operations(name, path)
    for theirs in options.dtypes:
        reference = _load_theirs(name, path, theirs, options.device)
        ours = {
            dtype: load_model(path, OURS[dtype], options.device) for dtype in OURS if _paired(dtype, theirs, options)
        }
        if "fp32" in ours:
            _assert_equal(ours["fp32"], reference, equal[:2])
        slow = theirs == "bf16" and options.device == "cpu"
        repeat = 2 if slow or heavy else options.repeat
        workloads = [Workload("equal", [equal], [equal], repeat)]
        if skewed and not slow:
            batches = sorted_batches(skewed, 80), arrival_batches(skewed, 16)
            workloads.append(Workload("skewed", *batches, options.repeat_skewed))
        for workload in workloads:
            times = _timed(ours, reference, workload)
            for dtype in ours:
                yield _line(name, (dtype, theirs), times, workload, work)
        del ours, reference
        gc.collect()


def _paired(ours: str, theirs: str, options: argparse.Namespace) -> bool:
    return ours in options.dtypes and (ours, theirs) != ("fp32", "bf16")


def _operations(name: str, path: Path) -> float:
    """Operations per second of audio that the reference does at batch 1."""
    reference = _load_theirs(name, path, "fp32", "cpu")
    reference.model.set_attn_implementation("eager")
    reference.model.requires_grad_(requires_grad=False)  # the counter hooks gradients, which inference has none of
    with FlopCounterMode(display=False) as counter:
        reference.logits(equal_clips(1))
    return counter.get_total_flops() / 10


def _assert_equal(model: SpeechModel, reference: Reference, clips: Clips) -> None:
    """A benchmark of something else would be worth nothing."""
    torch.testing.assert_close(_read(model, clips), reference.logits(clips), atol=1e-3, rtol=1e-3)


@torch.inference_mode()
def _read(model: SpeechModel, clips: Clips) -> torch.Tensor:
    out = model(model.frontend(clips))
    assert isinstance(out, FrameLogits)
    return out.logits


@dataclass(frozen=True)
class Workload:
    """The same clips, batched our way and theirs."""

    kind: str
    ours: list[Clips]
    theirs: list[Clips]
    repeat: int


@dataclass(frozen=True)
class Times:
    """Seconds of each repetition, and operations per second of the product between."""

    ours: dict[str, list[float]]
    theirs: list[float]
    gemm: list[float]


def _timed(ours: dict[str, SpeechModel], reference: Reference, workload: Workload) -> Times:
    """All sides in turn, after a short warm-up."""
    times = Times({dtype: [] for dtype in ours}, [], [])
    device = reference.model.device
    reference.logits(workload.theirs[0][:2])
    for model in ours.values():
        _read_all(model, [workload.ours[0][:2]])
    for _ in range(workload.repeat):
        times.gemm.append(_gemm(device))
        times.theirs.append(_seconds(lambda: [reference.logits(batch) for batch in workload.theirs], device))
        for dtype, model in ours.items():
            times.ours[dtype].append(_seconds(partial(_read_all, model, workload.ours), device))
    return times


def _read_all(model: SpeechModel, batches: list[Clips]) -> None:
    for batch in batches:
        _read(model, batch)


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    _settle(device)
    start = time.perf_counter()
    run()
    _settle(device)
    return time.perf_counter() - start


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _gemm(device: torch.device) -> float:
    """Operations per second of a large product: float32 on a CPU, bfloat16 on an accelerator."""
    n, dtype = (2048, torch.float32) if device.type == "cpu" else (8192, torch.bfloat16)
    a, b = torch.randn(n, n, device=device).to(dtype), torch.randn(n, n, device=device).to(dtype)
    a @ b
    return 10 * 2 * n**3 / _seconds(lambda: [a @ b for _ in range(10)], device)


def _line(name: str, dtypes: tuple[str, str], times: Times, workload: Workload, work: float) -> Line:
    ratios = [theirs / ours for ours, theirs in zip(times.ours[dtypes[0]], times.theirs, strict=True)]
    seconds = sum(len(clip) for batch in workload.ours for clip in batch) / RATE
    gemm = statistics.median(times.gemm)
    ours, theirs = statistics.median(times.ours[dtypes[0]]), statistics.median(times.theirs)
    return Line(
        model=name,
        clips=workload.kind,
        ours=dtypes[0],
        theirs=dtypes[1],
        ratio=round(statistics.median(ratios), 2),
        ratios=[round(ratio, 2) for ratio in ratios],
        our_gemm_share=round(work * seconds / ours / gemm, 3),
        their_gemm_share=round(work * seconds / theirs / gemm, 3),
        our_times_real_time=round(seconds / ours, 1),
        our_padding=round(padding_share(workload.ours), 3),
        their_padding=round(padding_share(workload.theirs), 3),
        gemm_gflops=round(gemm / 1e9, 1),
    )


def _row(line: Line) -> str:
    return (
        f"{line.model:16} {line.clips:7} ours {line.ours} / theirs {line.theirs}: {line.ratio:5.2f}x"
        f"   of a matrix product: ours {line.our_gemm_share:.0%}, theirs {line.their_gemm_share:.0%}"
        f"   {line.our_times_real_time:g}x real time   padding {line.our_padding:.0%} / {line.their_padding:.0%}"
    )


def _memory(name: str, path: Path, batch: int) -> Memory:
    peaks = {side: _child(side, name, path, batch) for side in ("ours", "theirs")}
    return Memory(name, peaks["ours"], peaks["theirs"])


def _child(side: str, name: str, path: Path, batch: int) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.models", "--memory", side, "--models", name]
    command += ["--folder", str(path), "--batch", str(batch), "--threads", str(torch.get_num_threads())]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def _peak_memory(side: str, name: str, path: Path, batch: int) -> float:
    """MiB, imports included: both sides import the same."""
    clips = equal_clips(2 if SIZES[name].heavy else batch)
    if side == "ours":
        _read(load_model(path), clips)
    else:
        _load_theirs(name, path, "fp32", "cpu").logits(clips)
    status = Path("/proc/self/status").read_text()  # getrusage would count what the parent held, too
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
