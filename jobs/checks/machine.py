"""The machine: cores, memory, disks, and what models compute on."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from jobs.checks.finding import Finding, fine, note, problem

GIGABYTE = 1_000_000_000
LITTLE_MEMORY, LITTLE_DISK, NO_DISK, LITTLE_SHARED = 4.0, 10.0, 1.0, 2.0
"""Gigabytes below which something is said."""
SHARED = Path("/dev/shm")  # noqa: S108  # nothing is written there
DEVICES = ("/dev/nvidia0", "/dev/nvidiactl", "/proc/driver/nvidia/version")
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where a container's limit stands."""


def machine() -> Iterator[Finding]:
    """Cores, memory and disks."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield fine("cores", f"{cores} for this process, of {os.cpu_count()}")
    yield _memory()
    yield _disk("temporary files", Path(tempfile.gettempdir()), "set TMPDIR to a folder on a larger disk")
    if SHARED.is_dir():
        yield _shared()


def devices() -> Iterator[Finding]:
    """Graphics cards, as torch sees them, and what the processor can do without one."""
    if torch.cuda.is_available():
        yield from (_card(number) for number in range(torch.cuda.device_count()))
        return
    if any(Path(device).exists() for device in DEVICES):
        built = torch.version.cuda or "no CUDA at all"
        yield problem(
            "GPU",
            f"the machine has one, and torch {torch.__version__}, built for {built}, cannot use it",
            "install the torch that suits the driver: https://pytorch.org/get-started/locally",
        )
        return
    quick = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    kind = torch.backends.cpu.get_cpu_capability()
    yield note("GPU", f"none: models run on the processor ({kind}, bfloat16 {'in' if quick else 'not in'} hardware)")


def _memory() -> Finding:
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIGABYTE
    limits = [float(text) / GIGABYTE for path in LIMITS if (text := _read(path)).isdigit()]
    allowed = min([there, *limits])
    said = f"{allowed:.1f} GB" + (f" allowed, of {there:.1f} GB" if allowed < there else "")
    if allowed < LITTLE_MEMORY:
        return note("memory", f"{said}: little for a model and its readers", "take a small model, or a larger machine")
    return fine("memory", said)


def _disk(about: str, folder: Path, remedy: str) -> Finding:
    free = shutil.disk_usage(folder).free / GIGABYTE
    said = f"{free:.1f} GB free in {folder}"
    if free < NO_DISK:
        return problem(about, said, remedy)
    return note(about, said, remedy) if free < LITTLE_DISK else fine(about, said)


def _shared() -> Finding:
    free = shutil.disk_usage(SHARED).free / GIGABYTE
    said = f"{free:.1f} GB free in {SHARED}, where Ray keeps batches"
    if free < LITTLE_SHARED:
        return note("shared memory", f"{said}: the rest goes to disk, slowly", "docker run --shm-size=4g, or more")
    return fine("shared memory", said)


def _card(number: int) -> Finding:
    known = torch.cuda.get_device_properties(number)
    said = f"{known.name}, {known.total_memory / GIGABYTE:.0f} GB, CUDA {torch.version.cuda}"
    with torch.cuda.device(number):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return fine(f"GPU {number}", f"{said}, bfloat16 in hardware")
    return note(f"GPU {number}", f"{said}, no bfloat16 in hardware", "leave dtype at float32")


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
