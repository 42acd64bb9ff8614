"""What a benchmark found, written beside the others: when, by which command, on what machine, with which versions."""

import datetime
import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"


def keep(part: str, found: Mapping[str, object], output: Path | None = None, device: str = "cpu") -> Path:
    """Write it to `results/<date>-<part>.json`, or where the caller says."""
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    module = Path(sys.argv[0]).stem
    whole = {
        "date": today,
        "command": " ".join(["python", "-m", f"tests.benchmarks.{module}", *sys.argv[1:]]),
        "machine": {
            "processor": processor() if device == "cpu" else torch.cuda.get_device_name(device),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "bfloat16_instructions": bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()),
        },
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": version("transformers"),
        },
        **found,
    }
    path = output or RESULTS / f"{today}-{part}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=1) + "\n")
    return path


def processor() -> str:
    """Its name, where the system tells one."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
