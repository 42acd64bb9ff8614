"""Labels of recordings, or of windows of them, as a classifier scores them.

All scores of a piece travel, and the best are picked when the recording is whole: a label that is third in every piece
may well be first of the whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from models import SpeechModel
from models.classifier import Classifier
from models.config import PROBLEM_TYPES
from models.protocol import Padded, Refused
from pipeline.audio.rules import AudioRules
from pipeline.decoding import Fields, decoded
from pipeline.schema import EMPTY, OK
from pipeline.stitching import Making, Piece, Row, Stitch


@dataclass(frozen=True)
class Labelling:
    """Speech to labels with scores."""

    top: int = 5
    """Labels that are kept, the best ones."""
    window_seconds: float | None = None
    """Label windows of this length, too."""
    hop_seconds: float | None = None
    """From the start of one window to that of the next; None is a window's length."""

    def flaws(self, model: SpeechModel) -> Iterator[str]:
        """A head that scores no labels."""
        if not isinstance(model.head, Classifier):
            yield f"a {model.architecture} gives no labels: a checkpoint with a classification head does"

    def audio(self, model: SpeechModel, rules: AudioRules) -> AudioRules:
        """Windows, or pieces without context: a score has no place that could tell whose it is."""
        return replace(rules, context_seconds=0.0, window_seconds=self.window_seconds, hop_seconds=self.hop_seconds)

    def stitch(self, model: SpeechModel) -> Stitch:
        """The best labels first; values, which are no scores, all and in the checkpoint's order."""
        values = isinstance(model.head, Classifier) and model.head.config.problem_type == PROBLEM_TYPES[2]
        picked = Values(model.labels) if values else Best(self.top)
        return Labels(picked) if self.window_seconds is None else Windowed(picked)

    def hear(self, model: SpeechModel, batch: Padded, owners: Sequence[Row]) -> Sequence[Fields | Refused]:
        """The scores of each clip."""
        predictions = model.predict(batch)
        return [each if isinstance(each, Refused) else decoded(model, each, 0, 0) for each in predictions]


@dataclass(frozen=True)
class Best:
    """The labels with the highest scores."""

    top: int

    def __call__(self, scores: Mapping[str, float]) -> list[Row]:
        """Best first."""
        ranked = sorted(scores.items(), key=lambda item: -item[1])[: self.top]
        return [{"label": label, "score": score} for label, score in ranked]


@dataclass(frozen=True)
class Values:
    """What a regression gives: every value by its name."""

    names: tuple[str, ...]

    def __call__(self, scores: Mapping[str, float]) -> list[Row]:
        """In the checkpoint's order."""
        return [{"label": name, "score": scores[name]} for name in self.names if name in scores]


@dataclass(frozen=True)
class Labels:
    """The pieces' scores, averaged by their seconds."""

    pick: Best | Values

    def row(self, pieces: Sequence[Piece], making: Making) -> Row:
        """Labels of the whole."""
        labels = self.pick(averaged(pieces))
        return {"status": OK if labels else EMPTY, "labels": labels}


@dataclass(frozen=True)
class Windowed:
    """Labels of each window, as a segment of the row, and their average over the recording."""

    pick: Best | Values

    def row(self, pieces: Sequence[Piece], making: Making) -> Row:
        """A segment for every window; one in which nothing can be heard has no labels."""
        segments = [self._segment(piece, making.sample_rate) for piece in pieces]
        return {**Labels(self.pick).row(pieces, making), "segments": segments}

    def _segment(self, piece: Piece, rate: int) -> Row:
        start, end = piece.core
        return {"start": start / rate, "end": end / rate, "labels": self.pick(piece.labels)}


def averaged(pieces: Sequence[Piece]) -> dict[str, float]:
    """Each label's score over all that was heard."""
    heard = [piece for piece in pieces if piece.labels]
    whole = sum(piece.seconds for piece in heard)
    mixed: dict[str, float] = {}
    for piece in heard:
        for label, score in piece.labels.items():
            mixed[label] = mixed.get(label, 0.0) + score * piece.seconds / whole
    return mixed
