"""Speech2Text beside transformers' `generate()`: a part of `make bench`.

Both load the same weights and write the texts of the same clips, in turn, in one process, features included. Random
weights do not know when to stop, so both write as many tokens, to the same fixed length, with beams that are never
done earlier; how the texts come about is otherwise the checkpoint's affair. That no end is written is a rule of both.
The demo's trained checkpoint, which is small, ends its texts itself: its clips come as they lie in the corpus, of all
lengths. Peak memory is of a process of its own per side. Ends with 1 where a goal is missed.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import transformers as hf

from jobs.demo import recipe
from models import SpeechModel, load_model
from models.protocol import Generation, Tokens
from tests.benchmarks.goals import Goal, at_least, leave
from tests.benchmarks.kept import keep
from tests.benchmarks.times import read_clips
from tests.benchmarks.workloads import RATE, Clips, equal_clips

SIZES = {
    "s2t-small": {},
    "s2t-medium": {"d_model": 512, "encoder_attention_heads": 8, "decoder_attention_heads": 8},
}
TRAINED = "demo"
"""The name of the demo's checkpoint among the models."""
END = 2
"""The token that would end a text."""
LONGEST = 200
"""Tokens of a text that ends itself, at most."""


@dataclass(frozen=True)
class Work:
    """What both sides write."""

    batches: tuple[Clips, ...]
    length: int
    """Tokens of a text at most, the one that begins it among them."""

    @property
    def clips(self) -> list[npt.NDArray[np.float32]]:
        """Those of all batches."""
        return [clip for batch in self.batches for clip in batch]


@dataclass(frozen=True)
class Line:
    """One comparison."""

    model: str
    clips: int
    beams: int
    seconds: float
    """Of audio."""
    tokens: float
    """Of a text, on average."""
    our_seconds: list[float]
    their_seconds: list[float]
    ratio: float
    """Their time over ours: the median over repetitions of the two run in turn."""
    ratios: list[float]
    our_times_real_time: float
    same_texts: int
    """Clips whose texts are identical."""
    our_peak_mib: float
    their_peak_mib: float


class Reference:
    """`generate()` as its documentation shows."""

    def __init__(self, folder: Path) -> None:
        self.model = hf.Speech2TextForConditionalGeneration.from_pretrained(folder).eval()
        self.extractor = hf.Speech2TextFeatureExtractor()

    @torch.inference_mode()
    def write(self, clips: Clips, beams: int, length: int) -> list[list[int]]:
        """Samples in, token ids out."""
        inputs = self.extractor(clips, sampling_rate=RATE, padding=True, return_tensors="pt")
        texts = self.model.generate(
            inputs["input_features"],
            attention_mask=inputs["attention_mask"],
            num_beams=beams,
            max_length=length,
        )
        return [text[1 : text.index(END, 1) if END in text[1:] else None] for text in texts.tolist()]


def write(model: SpeechModel, clips: Clips, beams: int, length: int) -> list[list[int]]:
    """The same, with our model; of random weights the checkpoint says, to both, that no end is written."""
    predictions = model.predict(model.frontend(clips), Generation(beams=beams, max_length=length))
    return [each.ids.tolist() for each in predictions if isinstance(each, Tokens)]


def main() -> None:
    """Parse, run, print, keep."""
    options = _options()
    torch.set_num_threads(options.threads)
    if options.memory:
        _all(_side(options.memory, options.folder), _work(options.models[0], options), options.beams)
        status = Path("/proc/self/status").read_text()
        print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
        return
    lines = []
    for name in options.models:
        with tempfile.TemporaryDirectory() as folder:
            lines.append(_compare(name, _save(name, Path(folder)), options))
        print(_row(lines[-1]), flush=True)
        found = {"comparisons": [asdict(line) for line in lines], "goals": reached(lines)}
        print(f"kept in {keep('writers-cpu', found, options.output)}", flush=True)
    leave(reached(lines))


def reached(lines: Sequence[Line]) -> list[Goal]:
    """What was wanted, and what is."""
    return [at_least(f"{line.model}: their time over ours", line.ratio, 4) for line in lines]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.writers", description=__doc__)
    parser.add_argument("--models", nargs="+", default=["s2t-small", TRAINED], choices=[*SIZES, TRAINED])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch", type=int, default=8, help="clips; of 10 s, for random weights")
    parser.add_argument("--beams", type=int, default=5)
    parser.add_argument("--length", type=int, default=60, help="tokens of a text, the one that begins it among them")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--output", type=Path, help="default: results/<date>-writers-cpu.json")
    parser.add_argument("--memory", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _work(name: str, options: argparse.Namespace) -> Work:
    """One batch of equal clips, or the corpus as it lies."""
    if name != TRAINED:
        return Work((equal_clips(options.batch),), options.length)
    clips = [said.samples for said in read_clips(recipe.CORPUS)]
    return Work(tuple(clips[i : i + options.batch] for i in range(0, len(clips), options.batch)), LONGEST)


def _all(side: Callable[[Clips, int, int], list[list[int]]], work: Work, beams: int) -> list[list[int]]:
    return [text for batch in work.batches for text in side(batch, beams, work.length)]


def _save(name: str, folder: Path) -> Path:
    """Random weights, loud enough for texts to differ by more than rounding; or the demo's, where they lie."""
    if name == TRAINED:
        return recipe.CHECKPOINTS / "speech2text"
    torch.manual_seed(0)
    model = hf.Speech2TextForConditionalGeneration(hf.Speech2TextConfig(**SIZES[name], tie_word_embeddings=False))
    torch.nn.init.normal_(model.lm_head.weight, std=0.2)
    model.save_pretrained(folder)
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"suppress_tokens": [END]}))
    return folder


def _side(side: str, folder: Path) -> Callable[[Clips, int, int], list[list[int]]]:
    if side == "theirs":
        return Reference(folder).write
    model = load_model(folder)
    return lambda clips, beams, length: write(model, clips, beams, length)


def _compare(name: str, folder: Path, options: argparse.Namespace) -> Line:
    work = _work(name, options)
    ours, theirs = _side("ours", folder), _side("theirs", folder)
    mine, texts = (_all(side, work, options.beams) for side in (ours, theirs))
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(options.repeat):
        for side, run in (("theirs", theirs), ("ours", ours)):
            start = time.perf_counter()
            _all(run, work, options.beams)
            times[side].append(round(time.perf_counter() - start, 3))
    ratios = [round(slow / quick, 2) for slow, quick in zip(times["theirs"], times["ours"], strict=True)]
    return Line(
        model=name,
        clips=len(work.clips),
        seconds=round(seconds := sum(map(len, work.clips)) / RATE, 1),
        beams=options.beams,
        tokens=round(statistics.fmean(map(len, mine)), 1),
        our_seconds=times["ours"],
        their_seconds=times["theirs"],
        ratio=statistics.median(ratios),
        ratios=ratios,
        our_times_real_time=round(seconds / statistics.median(times["ours"]), 1),
        same_texts=sum(one == other for one, other in zip(mine, texts, strict=True)),
        our_peak_mib=_peak("ours", name, folder, options),
        their_peak_mib=_peak("theirs", name, folder, options),
    )


def _peak(side: str, name: str, folder: Path, options: argparse.Namespace) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.writers", "--memory", side, "--folder", str(folder)]
    command += ["--models", name]
    command += ["--batch", str(options.batch), "--beams", str(options.beams), "--length", str(options.length)]
    done = subprocess.run([*command, "--threads", str(options.threads)], check=True, capture_output=True, text=True)
    return round(float(done.stdout.split()[-1]))


def _row(line: Line) -> str:
    return (
        f"{line.model:12} {line.clips} clips of {line.seconds / line.clips:.1f} s, {line.beams} beams, "
        f"{line.tokens:g} tokens: {line.ratio:.2f}x "
        f"({min(line.ratios)} to {max(line.ratios)})   {line.our_times_real_time:g}x real time   "
        f"same texts {line.same_texts} of {line.clips}   "
        f"peak {line.our_peak_mib:.0f} MiB, theirs {line.their_peak_mib:.0f} MiB"
    )


if __name__ == "__main__":
    main()
