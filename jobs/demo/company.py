"""One model on the same clips twice: each alone, then all in one batch."""

import math
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from jobs.demo.clips import Clips, Samples
from models import SpeechModel
from models.protocol import (
    ClipLogits,
    Embedding,
    FrameLogits,
    HiddenStates,
    Output,
    Prediction,
    PretrainingStates,
    Refused,
    Scores,
    Tokens,
    Units,
)

TOLERANCE = 1e-4
"""The largest difference allowed, where the output's own size is 1; another order of sums gives about 1e-6."""

EMPTY, READ = "empty", "read"


@dataclass(frozen=True)
class Comparison:
    """What company changed, and how fast it went."""

    seconds: float
    """Audio that was read."""
    speed: float
    """Seconds of audio per second, in company."""
    difference: float
    """The largest between outputs alone and in company, where the output's own size is 1."""
    decisions: int
    """Tokens, labels or units that the clips were given."""
    same_decisions: bool
    """Whether they are the same alone and in company."""
    too_short: str
    """What became of the clip without a frame."""
    spoilt: str
    """What became of the clip with a sample that is not a number."""

    def broken(self) -> list[str]:
        """Promises that were not kept."""
        kept = {
            f"outputs differ by {self.difference:.1e} in company": self.difference <= TOLERANCE,
            "decisions differ in company": self.same_decisions,
            f"the clip without a frame came out {self.too_short}": self.too_short == EMPTY,
            f"the clip with a NaN came out {self.spoilt}": "not a finite number" in self.spoilt,
        }
        return [promise for promise, held in kept.items() if not held]


@dataclass(frozen=True)
class Reading:
    """What a model said of one clip."""

    values: Tensor
    """Its output, cut to the clip's own frames."""
    decided: npt.NDArray[np.int32]
    """Tokens, the best label, or units; nothing from a bare encoder."""
    fate: str
    """Whether it was read, empty, or refused, and why."""


def compare(model: SpeechModel, clips: Clips) -> Comparison:
    """Read every clip alone and in company."""
    mixed = clips.mixed()
    alone = [read(model, [clip])[0] for clip in mixed]
    together = read(model, mixed)
    too_short, spoilt, *good = zip(alone, together, strict=True)
    return Comparison(
        seconds=clips.seconds,
        speed=clips.seconds / _seconds_taken(model, mixed),
        difference=max(_difference(one.values, other.values) for one, other in good),
        decisions=sum(one.decided.size for one, _ in good),
        same_decisions=all(np.array_equal(one.decided, other.decided) for one, other in good),
        too_short=_fate(*too_short),
        spoilt=_fate(*spoilt),
    )


@torch.inference_mode()
def read(model: SpeechModel, clips: list[Samples]) -> list[Reading]:
    """What the model says of each of these clips, read as one batch."""
    batch = model.frontend(clips)
    said = [_said(prediction) for prediction in model.predict(batch)]
    has_frames = any(model.encoder.frames(inputs) for inputs in batch.lengths.tolist())
    values = _values(model(batch)) if has_frames else [torch.empty(0)] * len(said)
    return [Reading(rows, decided, fate) for rows, (decided, fate) in zip(values, said, strict=True)]


def _said(prediction: Prediction) -> tuple[npt.NDArray[np.int32], str]:
    """What was decided, and the clip's fate."""
    match prediction:
        case Tokens(ids=ids):
            return ids, READ if ids.size else EMPTY
        case Units(codes=codes):
            return codes, READ if codes.size else EMPTY
        case Scores(values=values):
            return values.argsort()[-1:].astype(np.int32), READ if values.size else EMPTY
        case Embedding(vector=vector):
            return np.empty(0, np.int32), READ if vector.size else EMPTY
        case Refused(reason=reason):
            return np.empty(0, np.int32), f"refused: {reason}"


def _values(output: Output) -> list[Tensor]:
    """The output of each clip, without padding."""
    match output:
        case ClipLogits():
            return list(output.logits)
        case FrameLogits():
            rows = output.logits
        case HiddenStates():
            rows = output.hidden
        case PretrainingStates():
            rows = output.projected
    return [clip[:frames] for clip, frames in zip(rows, output.lengths.tolist(), strict=True)]


def _difference(alone: Tensor, together: Tensor) -> float:
    """Infinite where there is no number to compare."""
    if alone.shape != together.shape or not bool(alone.isfinite().all() and together.isfinite().all()):
        return math.inf
    size = alone.square().mean().sqrt().clamp(min=1)
    return float((alone - together).abs().max() / size)


def _fate(alone: Reading, together: Reading) -> str:
    return alone.fate if alone.fate == together.fate else f"{alone.fate} alone, {together.fate} in company"


def _seconds_taken(model: SpeechModel, clips: list[Samples]) -> float:
    start = time.perf_counter()
    model.predict(model.frontend(clips))
    return time.perf_counter() - start
