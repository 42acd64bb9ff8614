"""How well words are timed and how honest their confidence is: `python -m tests.benchmarks.times`.

A trained checkpoint reads a corpus whose words' times are known (truth.jsonl beside its audio). Words that were read
right are compared in time; all words in confidence. The temperature is fitted on every second clip and judged on the
others. Texts are then aligned, which times every word. Kept as JSON.
"""

import argparse
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from models import SpeechModel, load_model
from models.alignment import Alignment
from models.calibration import Bin, Judged, expected_calibration_error, fit_temperature, reliability
from models.heads import CtcHead
from models.protocol import CtcSearch
from models.transcript import Transcript, Word
from pipeline.scoring import pair, sum_edits, word_edits

BATCH = 16


@dataclass(frozen=True)
class Said:
    """A clip and what is known of it."""

    samples: npt.NDArray[np.float32]
    text: str
    words: tuple[tuple[str, float, float], ...]
    """Word, start and end in seconds."""


@dataclass(frozen=True)
class Errors:
    """Distances in milliseconds."""

    words: int
    start_median: float
    start_95th: float
    end_median: float
    end_95th: float


@dataclass(frozen=True)
class Honesty:
    """Confidence of the words that were read."""

    temperature: float
    expected_calibration_error: float
    bins: list[Bin]


@dataclass(frozen=True)
class Report:
    """One checkpoint."""

    checkpoint: str
    clips: int
    word_error_rate: float
    read: Errors
    aligned: Errors | None
    """None for families without a CTC head."""
    confidence: list[Honesty]
    """As it stands, then with the temperature fitted."""


def main() -> None:
    """Read, judge, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.times", description=__doc__)
    parser.add_argument("--checkpoints", nargs="+", type=Path, help="default: every folder of jobs/demo/checkpoints")
    parser.add_argument("--corpus", type=Path, default=Path("jobs/demo/corpus"))
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "times.json")
    options = parser.parse_args()
    folders = options.checkpoints or sorted(path.parent for path in Path("jobs/demo/checkpoints").glob("*/config.json"))
    reports = [report(folder, options.corpus) for folder in folders]
    text = json.dumps([asdict(one) for one in reports], indent=1)
    options.output.write_text(text + "\n")
    print(text)


def report(folder: Path, corpus: Path) -> Report:
    """Judge one checkpoint."""
    model = load_model(folder)
    clips = list(read_clips(corpus, model.sample_rate))
    told = transcribe(model, clips)
    edits = sum_edits(word_edits(clip.text, one.text) for clip, one in zip(clips, told, strict=True))
    return Report(
        checkpoint=folder.name,
        clips=len(clips),
        word_error_rate=edits.rate,
        read=read_errors(clips, told, model.sample_rate),
        aligned=aligned_errors(model, clips) if isinstance(model.head, CtcHead) else None,
        confidence=honesty(model, clips) if isinstance(model.head, CtcHead) else [_honesty(1.0, judged(clips, told))],
    )


def read_clips(corpus: Path, sample_rate: int, longest_seconds: float = 30.0) -> Iterator[Said]:
    """The recordings of a corpus that lie in files of their own and are one clip long."""
    for line in (corpus / "truth.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        path = corpus / row["file"]
        if row["channel"] is not None or row["seconds"] > longest_seconds or not row["words"] or not path.is_file():
            continue
        try:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            warnings.warn(f"{path.suffix} is not read by soundfile: {path.name} is left out", stacklevel=2)
            continue
        mono = soxr.resample(samples.mean(1), rate, sample_rate) if rate != sample_rate else samples.mean(1)
        yield Said(mono.astype(np.float32), row["text"], tuple(tuple(word) for word in row["words"]))


def transcribe(model: SpeechModel, clips: Sequence[Said], search: CtcSearch | None = None) -> list[Transcript]:
    """Every clip's transcript."""
    told: list[Transcript] = []
    for first in range(0, len(clips), BATCH):
        for one in model.transcribe([clip.samples for clip in clips[first : first + BATCH]], search):
            assert isinstance(one, Transcript)
            told.append(one)
    return told


def matched(clip: Said, words: Sequence[Word]) -> Iterator[tuple[int | None, int | None]]:
    """Which word of the truth each word stands for."""
    yield from pair([word for word, *_ in clip.words], [word.text for word in words])


def read_errors(clips: Sequence[Said], told: Sequence[Transcript], sample_rate: int) -> Errors:
    """Of the words that were read right."""
    distances = []
    for clip, one in zip(clips, told, strict=True):
        for i, j in matched(clip, one.words):
            if i is not None and j is not None and clip.words[i][0] == one.words[j].text:
                distances.append(_distance(clip.words[i], one.words[j].start, one.words[j].end, sample_rate))
    return _errors(distances)


def aligned_errors(model: SpeechModel, clips: Sequence[Said]) -> Errors:
    """Of all words, when the text is given."""
    distances = []
    for first in range(0, len(clips), BATCH):
        part = clips[first : first + BATCH]
        texts = [" ".join(word for word, *_ in clip.words) for clip in part]
        for clip, one in zip(part, model.align(model.frontend([c.samples for c in part]), texts), strict=True):
            assert isinstance(one, Alignment)
            pairs = zip(clip.words, one.words, strict=True)
            distances += [_distance(true, word.start, word.end, model.sample_rate) for true, word in pairs]
    return _errors(distances)


def honesty(model: SpeechModel, clips: Sequence[Said]) -> list[Honesty]:
    """Confidence on the odd clips, as it stands and with the temperature that suits the even ones."""
    even, odd = clips[::2], clips[1::2]

    def judge(part: Sequence[Said], temperature: float) -> Judged:
        return judged(part, transcribe(model, part, CtcSearch(temperature=temperature)))

    fitted = fit_temperature(lambda temperature: judge(even, temperature), steps=10)
    return [_honesty(temperature, judge(odd, temperature)) for temperature in (1.0, fitted)]


def judged(clips: Sequence[Said], told: Sequence[Transcript]) -> Judged:
    """The confidence of every word that was read, and whether it is right."""
    confidences, right = [], []
    for clip, one in zip(clips, told, strict=True):
        for i, j in matched(clip, one.words):
            if j is not None:
                confidences.append(one.words[j].confidence)
                right.append(i is not None and clip.words[i][0] == one.words[j].text)
    return confidences, right


def _honesty(temperature: float, said: Judged) -> Honesty:
    return Honesty(temperature, expected_calibration_error(*said), reliability(*said))


def _distance(true: tuple[str, float, float], start: int, end: int, sample_rate: int) -> tuple[float, float]:
    return 1000 * abs(start / sample_rate - true[1]), 1000 * abs(end / sample_rate - true[2])


def _errors(distances: Sequence[tuple[float, float]]) -> Errors:
    if not distances:
        return Errors(0, *[float("nan")] * 4)
    (start, start_95), (end, end_95) = np.percentile(np.array(distances), [50, 95], axis=0).T.tolist()
    return Errors(len(distances), start, start_95, end, end_95)


if __name__ == "__main__":
    main()
