"""How well words are timed and how honest their confidence is: `python -m tests.benchmarks.times`.

Every checkpoint of the demo that writes reads the corpus's sentences, whose words' times are known. Words that were
read right are compared in time, as the checkpoint's calibration has them and as they are without one; all words in
confidence, whose temperature is fitted on every second clip and judged on the others. Texts are then aligned, which
times every word. Spellers are also searched with a language model of the sentences they were trained with, none of
which is in the corpus. Printed as tables, kept as JSON. Ends with 1 where a goal is missed.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from jobs.calibrating import calibrated, judged, transcribed
from jobs.demo.evaluate import single
from jobs.demo.grammar import training_sentences
from jobs.demo.language import write_language_model
from jobs.demo.lateness import Said, rightly, transcribe
from jobs.demo.recordings import heard, stored
from jobs.demo.truth import read_truth
from jobs.table import aligned
from models import SpeechModel, load_model
from models.alignment import Alignment
from models.calibration import Bin, Judged, expected_calibration_error, reliability
from models.heads import CtcHead
from models.language_model import load_language_model
from models.protocol import CtcSearch
from models.transcript import Transcript
from pipeline.scoring import sum_edits, word_edits
from tests.benchmarks.goals import Goal, at_most, leave
from tests.benchmarks.kept import keep

BATCH = 16
CORPUS, CHECKPOINTS = Path("jobs/demo/corpus"), Path("jobs/demo/checkpoints")
LEARNED = 20_000
"""Sentences that the language model is estimated from."""
BEAM = 10
WIDE = 50
"""Columns of a diagram's bar."""
MEDIAN, MOST, WRITER = 40.0, 80.0, 120.0
"""Milliseconds, at most: the median and the 95th percentile of a CTC family, and the median of a decoder."""


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
    with_language_model: float | None
    """Word error rate of a beam search; None for families without a CTC head."""
    delay_milliseconds: float
    """How late it writes, by its calibration, which was fitted on other speech."""
    read: Errors
    aligned: Errors | None
    """None for families without a CTC head."""
    uncalibrated: Errors
    """Of what is read without that."""
    confidence: list[Honesty]
    """Of the odd clips, as it stands, then with the temperature that suits the even ones."""


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
    found = {"checkpoints": [asdict(one) for one in reports], "goals": (goals := reached(reports))}
    keep("times", found, options.output)
    print(tables(reports))
    leave(goals)


def reached(reports: Sequence[Report]) -> list[Goal]:
    """What was wanted, and what is: in milliseconds, of starts or of ends, whichever are further off."""
    goals: list[Goal] = []
    for one in reports:
        if one.aligned is None:
            goals.append(at_most(f"{one.checkpoint}: median", max(one.read.start_median, one.read.end_median), WRITER))
            continue
        for way, errors in (("read", one.read), ("aligned", one.aligned)):
            goals += [
                at_most(f"{one.checkpoint}, {way}: median", max(errors.start_median, errors.end_median), MEDIAN),
                at_most(f"{one.checkpoint}, {way}: 95th", max(errors.start_95th, errors.end_95th), MOST),
            ]
    return goals


def report(name: str, model: SpeechModel, clips: Sequence[Said]) -> Report:
    """Judge one checkpoint."""
    told, ctc = transcribe(model, clips), isinstance(model.head, CtcHead)
    return Report(
        checkpoint=name,
        clips=len(clips),
        word_error_rate=error_rate(clips, told),
        with_language_model=error_rate(clips, transcribe(model, clips, worded())) if ctc else None,
        delay_milliseconds=1000 * model.calibration.delay_seconds,
        read=read_errors(clips, told, model.sample_rate),
        aligned=aligned_errors(model, clips) if ctc else None,
        uncalibrated=read_errors(clips, transcribe(model, clips, delay_seconds=0.0), model.sample_rate),
        confidence=honesty(model, clips),
    )


def tables(reports: Sequence[Report]) -> str:
    """For people: times, then confidence."""
    times = [("milliseconds", "words", "start median", "95th", "end median", "95th")]
    for one in reports:
        ways = {
            "read": one.read,
            "aligned": one.aligned,
            f"read, not {one.delay_milliseconds:.0f} ms earlier": one.uncalibrated,
        }
        for way, errors in ways.items():
            if errors is not None:
                found = (errors.start_median, errors.start_95th, errors.end_median, errors.end_95th)
                times.append((f"{one.checkpoint}, {way}", str(errors.words), *(f"{value:.0f}" for value in found)))
    drawn: list[str] = []
    sure = [("confidence", "error rate", "with words known", "calibration error", "after scaling", "by")]
    for one in reports:
        known = "" if one.with_language_model is None else f"{one.with_language_model:.1%}"
        first, last = one.confidence
        before, after = (f"{each.expected_calibration_error:.3f}" for each in one.confidence)
        sure.append((one.checkpoint, f"{one.word_error_rate:.1%}", known, before, after, f"{last.temperature:.2f}"))
        drawn.append(
            f"{one.checkpoint}: words that were so sure, and how many of them were right\n{diagram(first.bins)}"
        )
    return "\n\n".join([aligned(times), aligned(sure), *drawn])


def diagram(bins: Sequence[Bin]) -> str:
    """Reliability as bars: what was right, and with a mark where it would be if confidence were honest."""
    rows = [("said", "right", "words", "")]
    for each in bins:
        bar = list(f"{'#' * round(WIDE * each.right):{WIDE + 1}}")
        bar[round(WIDE * each.confidence)] = "|"
        rows.append((f"{each.confidence:.0%}", f"{each.right:.0%}", str(each.count), "".join(bar)))
    return aligned(rows)


def read_clips(corpus: Path) -> Iterator[Said]:
    """The corpus's sentences, in whatever form they lie there."""
    for truth in read_truth(corpus):
        if single(truth) and truth.kind != "keyword":
            yield Said(heard(stored(corpus, truth))[0], truth.words)


def worded() -> CtcSearch:
    """A search that knows which words follow which."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "words.arpa"
        write_language_model(islice(training_sentences(0), LEARNED), path)
        return CtcSearch(beam=BEAM, language_model=load_language_model(path))


def error_rate(clips: Sequence[Said], told: Sequence[Transcript]) -> float:
    """Of words, over all clips."""
    pairs = zip(clips, told, strict=True)
    return sum_edits(word_edits(" ".join(spoken(clip)), one.text) for clip, one in pairs).rate


def read_errors(clips: Sequence[Said], told: Sequence[Transcript], sample_rate: int) -> Errors:
    """Of the words that were read right."""
    return _errors([_distance(said, read) for said, read in rightly(clips, told, sample_rate)])


def aligned_errors(model: SpeechModel, clips: Sequence[Said]) -> Errors:
    """Of all words, when the text is given."""
    distances = []
    for first in range(0, len(clips), BATCH):
        part = clips[first : first + BATCH]
        texts = [" ".join(spoken(clip)) for clip in part]
        for clip, one in zip(part, model.align(model.frontend([c.samples for c in part]), texts), strict=True):
            assert isinstance(one, Alignment)
            rate, pairs = model.sample_rate, zip(clip.words, one.words, strict=True)
            distances += [_distance(said, (word.start / rate, word.end / rate)) for (_, *said), word in pairs]
    return _errors(distances)


def honesty(model: SpeechModel, clips: Sequence[Said]) -> list[Honesty]:
    """Confidence on the odd clips, as it stands and with the temperature that suits the even ones."""
    even, odd = clips[::2], clips[1::2]
    fitted = calibrated(model, [clip.samples for clip in even], [" ".join(spoken(clip)) for clip in even]).temperature
    said, samples = [spoken(clip) for clip in odd], [clip.samples for clip in odd]
    return [_honesty(each, judged(said, transcribed(model, samples, each))) for each in (1.0, fitted)]


def spoken(clip: Said) -> list[str]:
    """Its words."""
    return [word for word, *_ in clip.words]


def _honesty(temperature: float, said: Judged) -> Honesty:
    return Honesty(temperature, expected_calibration_error(*said), reliability(*said))


def _distance(said: Sequence[float], read: Sequence[float]) -> tuple[float, float]:
    return 1000 * abs(read[0] - said[0]), 1000 * abs(read[1] - said[1])


def _errors(distances: Sequence[tuple[float, float]]) -> Errors:
    if not distances:
        return Errors(0, *[float("nan")] * 4)
    (start, start_95), (end, end_95) = np.percentile(np.array(distances), [50, 95], axis=0).T.tolist()
    return Errors(len(distances), start, start_95, end, end_95)


if __name__ == "__main__":
    main()
