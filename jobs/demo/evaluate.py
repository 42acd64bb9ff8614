"""How well the shipped checkpoints do on the shipped corpus, as figures.json beside them.

Word error rates are over the recordings of one sentence, each read whole and greedily; none of the sentences was
trained on, nor were half of the voices. The long recording and the call are left to the pipeline, which cuts them.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from jobs.demo.recordings import heard, stored
from jobs.demo.speech import HELD_OUT_VARIANTS, Samples
from jobs.demo.truth import Truth, read_truth
from models import load_model
from models.model import SpeechModel
from models.protocol import Scores, Tokens
from pipeline.scoring import count_edits

FIGURES = "figures.json"
GOALS = {"lasr": 0.05, "hubert": 0.10, "unispeech": 0.10, "sew-d": 0.10, "speech2text": 0.10, "keywords": 0.95}
"""Word error rates not to exceed; the classifier's accuracy to reach."""
TOGETHER = 8


@dataclass(frozen=True)
class Figure:
    """One checkpoint on the corpus."""

    measure: str
    """`word error rate`, or `accuracy`."""
    value: float
    goal: float
    recordings: int
    words: int
    known_voices: float | None
    """The same over voices that were trained on; None where there is none."""
    new_voices: float | None
    """And over voices that were not."""


@dataclass(frozen=True)
class Reading:
    """What a model wrote, beside what was said."""

    truth: Truth
    text: str

    @property
    def errors(self) -> int:
        """Words inserted, deleted or replaced."""
        return count_edits(self.truth.text.split(), self.text.split()).total


def evaluate(checkpoint: Path, corpus: Path, *, every: int = 1) -> Figure:
    """The figure of one checkpoint, over every recording or each so-manieth."""
    model = load_model(str(checkpoint))
    kind = "keyword" if checkpoint.name == "keywords" else None
    truths = [t for t in read_truth(corpus) if single(t) and (t.kind == "keyword") == (kind == "keyword")][::every]
    readings = list(read(model, corpus, truths))
    new = [reading for reading in readings if reading.truth.voice.partition("+")[2] in HELD_OUT_VARIANTS]
    known = [reading for reading in readings if reading not in new]
    rate = _accuracy if kind else word_error_rate
    return Figure(
        "accuracy" if kind else "word error rate",
        round(rate(readings), 6),
        GOALS[checkpoint.name],
        len(readings),
        sum(len(reading.truth.words) for reading in readings),
        round(rate(known), 6) if known else None,
        round(rate(new), 6) if new else None,
    )


def single(truth: Truth) -> bool:
    """Whether a recording holds one sentence, or one word."""
    return truth.kind not in ("call", "long")


def read(model: SpeechModel, corpus: Path, truths: Sequence[Truth]) -> Iterator[Reading]:
    """What a model makes of some recordings."""
    ordered = sorted(truths, key=lambda truth: truth.seconds)
    for start in range(0, len(ordered), TOGETHER):
        some = ordered[start : start + TOGETHER]
        clips = [heard(stored(corpus, truth))[truth.channel or 0] for truth in some]
        yield from map(Reading, some, texts(model, clips))


@torch.inference_mode()
def texts(model: SpeechModel, clips: list[Samples]) -> list[str]:
    """Each clip's transcript, or the name of its best label."""
    said = []
    for prediction in model.predict(model.frontend(clips)):
        match prediction:
            case Tokens(ids=ids):
                assert model.vocabulary is not None
                said.append(model.vocabulary.text(ids.tolist()))
            case Scores(values=values):
                said.append(model.labels[int(values.argmax())])
            case _:
                raise TypeError(f"{model.architecture} says nothing of a clip but {type(prediction).__name__}")
    return said


def word_error_rate(readings: Sequence[Reading]) -> float:
    """Errors over words."""
    return sum(reading.errors for reading in readings) / max(1, sum(len(r.truth.words) for r in readings))


def write_figures(checkpoints: Path, corpus: Path) -> dict[str, Figure]:
    """Measure every checkpoint there is."""
    figures = {name: evaluate(checkpoints / name, corpus) for name in GOALS if (checkpoints / name).is_dir()}
    content = {name: asdict(figure) for name, figure in figures.items()}
    (checkpoints / FIGURES).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return figures


def read_figures(checkpoints: Path) -> dict[str, Figure]:
    """What was measured when the checkpoints were made."""
    content = json.loads((checkpoints / FIGURES).read_text(encoding="utf-8"))
    return {name: Figure(**figure) for name, figure in content.items()}


def _accuracy(readings: Sequence[Reading]) -> float:
    return sum(reading.text == reading.truth.text for reading in readings) / max(1, len(readings))
