"""How sure a checkpoint may be, fitted on clips whose text is known.

What is fitted here suits these clips. Whether it makes confidence more honest is for others to say: hold
`expected_calibration_error(*judged(...))` of some that nothing was fitted on against what it was.
"""

from collections.abc import Sequence
from dataclasses import replace

from models import SpeechModel
from models.calibration import Calibration, Judged, fit_temperature
from models.protocol import Samples
from models.transcript import Transcript
from pipeline.scoring import normalise, pair

TOGETHER = 16
"""Clips that are read at once."""
STEPS = 10
"""Of the search: enough for a temperature within a few percent."""


def calibrated(model: SpeechModel, clips: Sequence[Samples], texts: Sequence[str]) -> Calibration:
    """The checkpoint's calibration with the temperature that suits; `write_calibration` puts it beside its weights."""
    if len(clips) != len(texts) or not clips:
        raise ValueError(f"{len(texts)} texts for {len(clips)} clips; one each, and some, are needed")

    def judge(temperature: float) -> Judged:
        return judged([text.split() for text in texts], transcribed(model, clips, temperature))

    return replace(model.calibration, temperature=round(fit_temperature(judge, steps=STEPS), 3))


def transcribed(model: SpeechModel, clips: Sequence[Samples], temperature: float) -> list[Transcript]:
    """Every clip's transcript at a temperature; one that is refused is a clear mistake here."""
    if model.head.search is None:
        raise ValueError(f"{model.architecture} does not write text, so there is no confidence of words")
    told: list[Transcript] = []
    for first in range(0, len(clips), TOGETHER):
        search = model.head.search(temperature=temperature)
        for place, one in enumerate(model.transcribe(clips[first : first + TOGETHER], search), start=first):
            if not isinstance(one, Transcript):
                raise ValueError(f"clip {place} cannot be read: {one.reason}")
            told.append(one)
    return told


def judged(texts: Sequence[Sequence[str]], told: Sequence[Transcript]) -> Judged:
    """The confidence of every word that was read, and whether it is the one that was said there."""
    confidences, right = list[float](), list[bool]()
    for words, one in zip(texts, told, strict=True):
        said, read = [normalise(word) for word in words], [normalise(word.text) for word in one.words]
        for i, j in pair(said, read):
            if j is not None:
                confidences.append(one.words[j].confidence)
                right.append(i is not None and said[i] == read[j])
    return confidences, right
