"""What is made of a batch, beside the model: one task per kind of job.

A task is plain data that travels to the actors. It turns a padded batch and the segments' keys into the columns of the
table that it fills, a mapping for each segment, or into the reason why a segment could not be heard.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol, runtime_checkable

from models import SpeechModel
from models.language_model import LanguageModel, LanguageModelError, load_language_model
from models.protocol import CtcSearch, Generation, Padded, Refused, Search
from pipeline.audio.rules import AudioRules
from pipeline.decoding import Fields, decoded
from pipeline.nearby import nearby
from pipeline.own import place
from pipeline.references import References
from pipeline.stitching import Stitch, Texts
from pipeline.storage import StoreError

Row = Mapping[str, object]


class Task(Protocol):
    """The role of everything below."""

    def flaws(self, model: SpeechModel) -> Iterator[str]:
        """Why this model cannot do it, in the user's words."""
        ...

    def audio(self, model: SpeechModel, rules: AudioRules) -> AudioRules:
        """How recordings are cut for it; wrong values raise `ValueError`."""
        ...

    def stitch(self, model: SpeechModel) -> Stitch:
        """How the pieces of a recording become its row."""
        ...

    def hear(self, model: SpeechModel, batch: Padded, owners: Sequence[Row]) -> Sequence[Fields | Refused]:
        """What each clip of a batch gives."""
        ...


@runtime_checkable
class Joint(Task, Protocol):
    """A task that needs all pieces of a recording at once, and the text of each: they come in one batch."""

    @property
    def references(self) -> References:
        """Where the texts come from."""
        ...

    def settle(
        self, model: SpeechModel, owners: Sequence[Row], heard: Sequence[Fields | Refused]
    ) -> Sequence[Fields | Refused]:
        """What a whole batch makes of what was heard of its pieces."""
        ...


@dataclass(frozen=True)
class Transcription:
    """Speech to words with times."""

    beam: int | None = None
    """Readings that the search keeps; None is what the checkpoint says, or the best class of each frame."""
    language: str | None = None
    """What a checkpoint of several languages writes."""
    lm: str | None = None
    """A language model of words, ARPA or KenLM: a path or URL."""
    lm_weight: float = 0.5
    """What its log-probabilities are multiplied by."""
    word_bonus: float = 0.0
    """Added to a reading's score for every word."""
    hotwords: tuple[str, ...] = ()
    """Words to expect."""
    hotword_boost: float = 5.0
    """Added for each of them."""
    delay_seconds: float | None = None
    """How late the checkpoint writes what it hears; None is what its calibration says."""
    temperature: float | None = None
    """What posteriors are softened by, and no word; None is what the checkpoint's calibration says."""

    def flaws(self, model: SpeechModel) -> Iterator[str]:
        """What the checkpoint, its vocabulary or its search cannot do."""
        if model.head.search is None:
            yield f"a {model.architecture} writes no text: `steno models` says what it gives"
        elif model.vocabulary is None:
            yield "it has no vocabulary file, so its tokens cannot be written"
        elif model.head.search is Generation:
            yield from self._unfit_for_decoder(model)
        else:
            yield from self._unfit_for_ctc(model)

    def audio(self, model: SpeechModel, rules: AudioRules) -> AudioRules:
        """With context around a cut, but for a decoder, which would write its words twice."""
        return replace(rules, context_seconds=0.0) if model.head.search is Generation else rules

    def stitch(self, model: SpeechModel) -> Stitch:
        """Words, once each."""
        return Texts()

    def search(self, model: SpeechModel) -> Search | None:
        """In the words of the model's own search; None is what the model does by itself."""
        if model.head.search is Generation:
            return Generation(beams=self.beam, language=self.language, temperature=self.temperature)
        search = CtcSearch(
            beam=self.beam or 1,
            language_model=None if self.lm is None else _language_model(self.lm),
            language_weight=self.lm_weight,
            word_bonus=self.word_bonus,
            hotwords=self.hotwords,
            hotword_boost=self.hotword_boost,
            temperature=self.temperature,
        )
        return None if search == CtcSearch() else search

    def hear(self, model: SpeechModel, batch: Padded, owners: Sequence[Row]) -> Sequence[Fields | Refused]:
        """The words of each clip, at the recording's samples."""
        predictions = model.predict(batch, self.search(model))
        return [
            prediction
            if isinstance(prediction, Refused)
            else decoded(model, prediction, *place(owner), delay_seconds=self.delay_seconds)
            for prediction, owner in zip(predictions, owners, strict=True)
        ]

    def _unfit_for_decoder(self, model: SpeechModel) -> Iterator[str]:
        told = {"lm": self.lm, "hotwords": self.hotwords, "word_bonus": self.word_bonus}
        for name in (name for name, value in told.items() if value):
            yield f"{name} is for CTC checkpoints: a {model.architecture} writes with a language model of its own"
        known = sorted(model.vocabulary.languages) if model.vocabulary else []
        if self.language is not None and self.language not in known:
            names = f"it writes {', '.join(known)}" if known else "it has one language: leave it out"
            yield f"language is {self.language!r}: {names}"

    def _unfit_for_ctc(self, model: SpeechModel) -> Iterator[str]:
        if self.language is not None:
            yield f"language is for checkpoints with a decoder: a {model.architecture} writes what it hears"
        if self.lm is not None:
            try:
                _language_model(self.lm)
            except (LanguageModelError, StoreError, OSError) as error:
                yield f"lm: {error}"


@cache
def _language_model(ref: str) -> LanguageModel:
    return load_language_model(nearby(ref))
