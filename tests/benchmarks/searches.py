"""What words cost beside the model: `python -m tests.benchmarks.searches`, a part of `make bench`.

The model is HuBERT base with random weights over clips of 10 s. What is searched are frames as a trained speller gives
them, a spike for each letter of a random text and blanks between: random weights would spell nothing but noise.
Ends with 1 where a goal is missed.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jobs.table import aligned
from models import CtcSearch, SpeechModel, load_model
from models.alignment import Sound, align
from models.layers.packing import Packed
from models.protocol import FrameLogits, Tokens
from models.search import read_tokens
from tests.benchmarks.goals import Goal, at_most, leave
from tests.benchmarks.kept import keep
from tests.benchmarks.workloads import SIGNS, equal_clips, write_speller

LETTERS = SIGNS[5:]
WORDS_A_SECOND = 2.5
SECONDS = 10.0
AT_ONCE = 8
MODEL, BEST, QUIET = "the model", "the best class of each frame", "where it is quiet"
WRITTEN, LAID = "words with times", "a text laid onto it"


@dataclass(frozen=True)
class Cost:
    """One thing that is done with what the model says."""

    what: str
    milliseconds: float
    """Of a clip: the median of the repetitions."""
    share: float
    """Of the model's time."""


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.searches", description=__doc__)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--output", type=Path, help="default: results/<date>-searches-cpu.json")
    options = parser.parse_args()
    costs = measure(options.clips, options.repeat)
    print(aligned([("of a clip of 10 s", "ms", "of the model"), *map(row, costs)]))
    found = {"clips": options.clips, "costs": [asdict(cost) for cost in costs], "goals": (goals := reached(costs))}
    keep("searches-cpu", found, options.output)
    leave(goals)


def reached(costs: Sequence[Cost]) -> list[Goal]:
    """What was wanted, and what is: in percent of the model's time."""
    percent = {cost.what: 100 * cost.share for cost in costs}
    return [
        at_most("% of the model's time for words without a beam", percent[BEST] + percent[QUIET] + percent[WRITTEN], 2),
        at_most("% of the model's time for a text laid onto it", percent[QUIET] + percent[LAID], 5),
    ]


def row(cost: Cost) -> tuple[str, ...]:
    """For people."""
    return cost.what, f"{cost.milliseconds:.1f}", f"{cost.share:.1%}"


def measure(count: int, repeat: int) -> list[Cost]:
    """Everything in turn, so often; the model comes first."""
    model, clips, chance = made(), equal_clips(count, SECONDS), np.random.default_rng(0)
    parts = [clips[begin : begin + AT_ONCE] for begin in range(0, count, AT_ONCE)]
    texts = [[said(chance) for _ in part] for part in parts]
    batches = [model.frontend(part) for part in parts]
    frames = int(model(batches[0]).lengths[0])
    packed = [
        Packed(torch.cat([spikes(text, frames, chance) for text in part]), (frames,) * len(part)) for part in texts
    ]
    sounds = [
        [Sound(len(clip), quiet) for clip, quiet in zip(part, model.quiet(batch), strict=True)]
        for part, batch in zip(parts, batches, strict=True)
    ]
    scribe = model.scribe()
    found = [read_tokens(one, 0, CtcSearch(), None) for one in packed]

    def written(part: int) -> None:
        for tokens in found[part]:
            assert isinstance(tokens, Tokens)
            scribe.transcript(tokens, round(SECONDS * model.sample_rate))

    def laid(part: int) -> None:
        align(
            FrameLogits(packed[part].padded(), torch.tensor(packed[part].lengths)), texts[part], sounds[part], scribe, 0
        )

    things: dict[str, Callable[[int], object]] = {
        MODEL: lambda part: model(batches[part]),
        BEST: lambda part: read_tokens(packed[part], 0, CtcSearch(), None),
        QUIET: lambda part: model.quiet(batches[part]),
        WRITTEN: written,
        "a beam of 10": lambda part: read_tokens(packed[part], 0, CtcSearch(beam=10), None),
        LAID: laid,
    }
    times: dict[str, list[float]] = {name: [] for name in things}
    with torch.inference_mode():
        for _ in range(repeat):
            for name, thing in things.items():
                began = time.perf_counter()
                for part in range(len(parts)):
                    thing(part)
                times[name].append(time.perf_counter() - began)
    whole = statistics.median(times[MODEL])
    return [
        Cost(name, 1000 * statistics.median(each) / count, statistics.median(each) / whole)
        for name, each in times.items()
    ]


def made() -> SpeechModel:
    """HuBERT base with random weights and the letters of its published vocabulary."""
    with tempfile.TemporaryDirectory() as folder:
        write_speller(Path(folder))
        return load_model(folder)


def said(chance: np.random.Generator) -> str:
    """As many words as are spoken in that time."""
    sizes = chance.integers(1, 9, round(WORDS_A_SECOND * SECONDS))
    return " ".join("".join(chance.choice(LETTERS, size)) for size in sizes)


def spikes(text: str, frames: int, chance: np.random.Generator) -> Tensor:
    """Logits of a speller that is sure: each letter in one frame of its own, in order, blanks elsewhere."""
    ids: Sequence[int] = [SIGNS.index("|" if letter == " " else letter) for letter in text]
    places = np.sort(chance.choice(frames // 2, len(ids), replace=False)) * 2
    logits = torch.from_numpy(chance.normal(0, 1, (frames, len(SIGNS)))).float()
    logits[:, 0] += 8
    logits[places, 0] -= 8
    logits[places, torch.tensor(ids)] += 8
    return logits


if __name__ == "__main__":
    main()
