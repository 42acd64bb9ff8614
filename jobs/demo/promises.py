"""`python -m jobs.demo.promises`: what the models promise, shown on synthetic clips in a few seconds.

A promise that is not kept is named, and makes the exit code 1.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch

from jobs.demo.checkpoints import CONFIGS, write_random
from jobs.demo.clips import SECONDS, TOO_SHORT_SECONDS, make_clips
from jobs.demo.company import TOLERANCE, Comparison, compare
from jobs.describe import Architecture, architectures
from jobs.table import aligned
from models import load_model
from models.registry import ARCHITECTURES

SEED = 0

OPENING = f"""\
The weights below are random, so there is no text to read yet: the transcription demo comes with the pipeline.
What can be seen: checkpoints in the published format load, and company changes nothing. {len(SECONDS)} clips of \
{min(SECONDS)} to {max(SECONDS)} s
are read alone, then in one batch, together with a clip of {TOO_SHORT_SECONDS} s and one that holds a NaN.
"""

LEGEND = f"""\
difference: the largest between outputs alone and in company; the output's own size is 1, and {TOLERANCE:g} is allowed.
times real time: of these small models on one core; published checkpoints are larger and slower."""

HEADER = (
    "family",
    "head",
    "parameters",
    "audio",
    "times real time",
    "difference",
    "same decisions",
    "too short",
    "with a NaN",
)

DECISIONS = {"CTC": "tokens", "classifier": "labels", "units": "units", "decoder": "tokens"}
"""What a head decides."""


@dataclass(frozen=True)
class Shown:
    """One line of the table."""

    kind: Architecture
    parameters: int
    comparison: Comparison

    def cells(self) -> tuple[str, ...]:
        """As text."""
        seen = self.comparison
        return (
            self.kind.family,
            self.kind.head,
            f"{self.parameters:,}",
            f"{seen.seconds:.0f} s",
            f"{seen.speed:.0f}",
            f"{seen.difference:.1g}",
            self._decisions(),
            seen.too_short,
            seen.spoilt.partition(":")[0],
        )

    def broken(self) -> list[str]:
        """Promises that were not kept, each with the model's name."""
        return [f"{self.kind.family}, head {self.kind.head}: {promise}" for promise in self.comparison.broken()]

    def _decisions(self) -> str:
        if self.kind.head == "none":
            return "it makes none"
        said = "yes" if self.comparison.same_decisions else "NO"
        return f"{said}, {self.comparison.decisions} {DECISIONS[self.kind.head]}"


def main() -> int:
    """Show every family and head; 1 if a promise was broken."""
    print(OPENING)
    shown = [line for kinds in _families() for line in _family(kinds)]
    print()
    print(aligned([HEADER, *(line.cells() for line in shown)]))
    print()
    for reason in sorted({line.comparison.spoilt for line in shown}):
        print(f"with a NaN: {reason}")
    print(LEGEND)
    return _verdict([promise for line in shown for promise in line.broken()])


def _families() -> Iterator[list[Architecture]]:
    for _, kinds in groupby(architectures().architectures, key=lambda kind: kind.family):
        yield list(kinds)


def _family(kinds: list[Architecture]) -> list[Shown]:
    """One family's lines, and a line of progress."""
    start = time.perf_counter()
    print(f"{kinds[0].family:<12}", end="", flush=True)
    lines = [_show(kind) for kind in kinds]
    took = time.perf_counter() - start
    print(f"{len(lines)} checkpoints written, loaded, read alone and in company in {took:.1f} s", flush=True)
    return lines


def _show(kind: Architecture) -> Shown:
    clips = make_clips(ARCHITECTURES[kind.architecture].family.frontend.sample_rate, SEED)
    with tempfile.TemporaryDirectory(prefix="stenopool-demo-") as folder:
        write_random(kind.architecture, CONFIGS[kind.family], max(clips.good, key=len), Path(folder))
        model = load_model(folder)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Shown(kind, parameters, compare(model, clips))


def _verdict(broken: list[str]) -> int:
    for promise in broken:
        print(f"BROKEN  {promise}", file=sys.stderr)
    print(f"\nBroken promises: {len(broken)}." if broken else "\nEvery promise was kept.")
    return 1 if broken else 0


if __name__ == "__main__":
    torch.set_num_threads(1)  # models this small would spend their time waiting for the other threads
    sys.exit(main())
