"""What a model predicted for a segment, as words at the recording's samples, or as labels.

Beside the model, because text is tiny: no token and no frame needs to leave the actor.
"""

from collections.abc import Mapping

import numpy as np

from models import SpeechModel
from models.protocol import Prediction, Refused, Scores, Tokens
from models.transcript import Scribe
from pipeline.schema import Failure

Fields = Mapping[str, object]
FIELDS = ("text", "words", "labels", "vector", "weight", "file", "units", "alignment")
"""What a task may give for a segment."""
SILENT: Fields = dict.fromkeys(FIELDS)


def decoded(
    model: SpeechModel, prediction: Prediction, start: int, samples: int, *, delay_seconds: float | None = None
) -> Fields:
    """The columns that a prediction fills; `start` and `samples` are the segment's place and length.

    `delay_seconds` is how late the checkpoint writes, where that is not what its calibration says.
    """
    if isinstance(prediction, Tokens):
        return {**SILENT, **_spelled(model.scribe(delay_seconds=delay_seconds), prediction, start, samples)}
    if isinstance(prediction, Scores):
        order = np.argsort(-prediction.values, kind="stable")
        named = [{"label": model.labels[i], "score": float(prediction.values[i])} for i in order]
        return {**SILENT, "labels": named}
    raise TypeError(f"{model.architecture} gives {type(prediction).__name__}, which makes no transcript")


def refused(prediction: Refused) -> Failure:
    """A clip that the model would not read."""
    return Failure("Refused", "inference", prediction.reason)


def _spelled(scribe: Scribe, tokens: Tokens, start: int, samples: int) -> Fields:
    words = [
        {"word": word.text, "start": start + word.start, "end": start + word.end, "confidence": word.confidence}
        for word in scribe.words(tokens, samples)
    ]
    return {"text": scribe.vocabulary.text(tokens.ids.tolist()), "words": words}
