"""How well words are timed and how honest their confidence is: `python -m tests.benchmarks.times`.

Every checkpoint of the demo that writes reads the corpus's sentences, whose words' times are known. Words that were
read right are compared in time; all words in confidence. Temperature and delay are fitted on every second clip and
judged on the others. Texts are then aligned, which times every word. Spellers are also searched with a language model
of the sentences they were trained with, none of which is in the corpus. Printed as tables, kept as JSON.
"""

import argparse
import datetime
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from jobs.demo.evaluate import single
from jobs.demo.grammar import training_sentences
from jobs.demo.language import write_language_model
from jobs.demo.recordings import heard, stored
from jobs.demo.truth import read_truth
from jobs.table import aligned
from models import SpeechModel, load_model
from models.alignment import Alignment
from models.calibration import Bin, Judged, expected_calibration_error, fit_delay, fit_temperature, reliability
from models.heads import CtcHead
from models.language_model import load_language_model
from models.protocol import CtcSearch
from models.transcript import Transcript, Word
from pipeline.scoring import pair, sum_edits, word_edits

BATCH = 16
CORPUS, CHECKPOINTS = Path("jobs/demo/corpus"), Path("jobs/demo/checkpoints")
RESULTS = Path(__file__).parent / "results"
LEARNED = 20_000
"""Sentences that the language model is estimated from."""
BEAM = 10

Edge = tuple[int, int]
"""A word's start and end, in samples."""


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
class Delay:
    """How late a checkpoint writes, fitted on the even clips, and what that mends on the odd ones."""

    milliseconds: float
    before: Errors
    after: Errors


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
    with_language_model: float | None
    """Word error rate of a beam search; None for families without a CTC head."""
    read: Errors
    aligned: Errors | None
    """None for families without a CTC head."""
    delay: Delay
    confidence: list[Honesty]
    """As it stands, then with the temperature fitted."""


def main() -> None:
    """Read, judge, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.times", description=__doc__)
    parser.add_argument("--checkpoints", nargs="+", type=Path, help="default: those of the demo that write")
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--output", type=Path, help="default: results/<date>-times.json")
    options = parser.parse_args()
    folders = options.checkpoints or sorted(path.parent for path in CHECKPOINTS.glob("*/config.json"))
    clips = list(read_clips(options.corpus))
    models = ((folder.name, load_model(folder)) for folder in folders)
    reports = [report(name, model, clips) for name, model in models if model.head.search is not None]
    today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    found = {"date": today, "checkpoints": [asdict(one) for one in reports]}
    (options.output or RESULTS / f"{today}-times.json").write_text(json.dumps(found, indent=1) + "\n")
    print(tables(reports))


def report(name: str, model: SpeechModel, clips: Sequence[Said]) -> Report:
    """Judge one checkpoint."""
    told, ctc = transcribe(model, clips), isinstance(model.head, CtcHead)
    return Report(
        checkpoint=name,
        clips=len(clips),
        word_error_rate=error_rate(clips, told),
        with_language_model=error_rate(clips, transcribe(model, clips, worded())) if ctc else None,
        read=read_errors(clips, told, model.sample_rate),
        aligned=aligned_errors(model, clips) if ctc else None,
        delay=delayed(model, clips, told),
        confidence=honesty(model, clips) if ctc else [_honesty(1.0, judged(clips, told))],
    )


def tables(reports: Sequence[Report]) -> str:
    """For people: times, then confidence."""
    times = [("milliseconds", "words", "start median", "95th", "end median", "95th")]
    for one in reports:
        ways = {
            "read": one.read,
            "aligned": one.aligned,
            "odd clips": one.delay.before,
            f"{one.delay.milliseconds:.0f} ms earlier": one.delay.after,
        }
        for way, errors in ways.items():
            if errors is not None:
                found = (errors.start_median, errors.start_95th, errors.end_median, errors.end_95th)
                times.append((f"{one.checkpoint}, {way}", str(errors.words), *(f"{value:.0f}" for value in found)))
    sure = [("confidence", "error rate", "with words known", "calibration error", "after scaling", "by")]
    for one in reports:
        known = "" if one.with_language_model is None else f"{one.with_language_model:.1%}"
        first, last = one.confidence[0], one.confidence[-1]
        scaled = (
            (f"{last.expected_calibration_error:.3f}", f"{last.temperature:.2f}") if last is not first else ("", "")
        )
        before = f"{first.expected_calibration_error:.3f}"
        sure.append((one.checkpoint, f"{one.word_error_rate:.1%}", known, before, *scaled))
    return f"{aligned(times)}\n\n{aligned(sure)}"


def read_clips(corpus: Path) -> Iterator[Said]:
    """The corpus's sentences, in whatever form they lie there."""
    for truth in read_truth(corpus):
        if single(truth) and truth.kind != "keyword":
            yield Said(heard(stored(corpus, truth))[0], truth.text, truth.words)


def worded() -> CtcSearch:
    """A search that knows which words follow which."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "words.arpa"
        write_language_model(islice(training_sentences(0), LEARNED), path)
        return CtcSearch(beam=BEAM, language_model=load_language_model(path))


def error_rate(clips: Sequence[Said], told: Sequence[Transcript]) -> float:
    """Of words, over all clips."""
    return sum_edits(word_edits(clip.text, one.text) for clip, one in zip(clips, told, strict=True)).rate


def transcribe(
    model: SpeechModel, clips: Sequence[Said], search: CtcSearch | None = None, delay_seconds: float = 0.0
) -> list[Transcript]:
    """Every clip's transcript."""
    told: list[Transcript] = []
    for first in range(0, len(clips), BATCH):
        samples = [clip.samples for clip in clips[first : first + BATCH]]
        for one in model.transcribe(samples, search, delay_seconds=delay_seconds):
            assert isinstance(one, Transcript)
            told.append(one)
    return told


def matched(clip: Said, words: Sequence[Word]) -> Iterator[tuple[int | None, int | None]]:
    """Which word of the truth each word stands for."""
    yield from pair([word for word, *_ in clip.words], [word.text for word in words])


def read_errors(clips: Sequence[Said], told: Sequence[Transcript], sample_rate: int) -> Errors:
    """Of the words that were read right."""
    return _errors([_distance(true, *edges, sample_rate) for true, edges in rightly(clips, told)])


def rightly(clips: Sequence[Said], told: Sequence[Transcript]) -> Iterator[tuple[tuple[str, float, float], Edge]]:
    """Each word that was read right, as it was said, and where it was read to begin and end."""
    for clip, one in zip(clips, told, strict=True):
        for i, j in matched(clip, one.words):
            if i is not None and j is not None and clip.words[i][0] == one.words[j].text:
                yield clip.words[i], (one.words[j].start, one.words[j].end)


def delayed(model: SpeechModel, clips: Sequence[Said], told: Sequence[Transcript]) -> Delay:
    """The delay of the even clips, taken off the odd ones."""
    rate = model.sample_rate
    even = list(rightly(clips[::2], told[::2]))
    seconds = fit_delay([(a / rate, b / rate) for _, (a, b) in even], [(a, b) for (_, a, b), _ in even])
    odd, before = clips[1::2], told[1::2]
    after = transcribe(model, odd, delay_seconds=seconds)
    return Delay(1000 * seconds, read_errors(odd, before, rate), read_errors(odd, after, rate))


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
