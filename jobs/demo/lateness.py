"""How late a checkpoint of the demo writes what it hears, found out once it is trained.

It is fitted on speech of its own, sentences that are neither trained on nor in the corpus, so that the corpus judges
what was fitted.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from jobs.demo.grammar import held_out_sentences
from jobs.demo.speech import Samples, draw_manner, draw_room, record
from jobs.demo.truth import read_truth
from models import load_model
from models.calibration import fit_delay, write_calibration
from models.model import SpeechModel
from models.protocol import Search
from models.transcript import Transcript, Word
from pipeline.scoring import pair

SENTENCES, SEED, TOGETHER = 160, 7, 16


@dataclass(frozen=True)
class Said:
    """A clip and what is known of it."""

    samples: Samples
    words: tuple[tuple[str, float, float], ...]
    """Word, start and end in seconds."""


Edges = tuple[float, float]
"""A word's start and end, in seconds."""


def write_delays(checkpoints: Sequence[Path], corpus: Path) -> Iterator[tuple[str, float]]:
    """Put beside the weights of every checkpoint that writes how many seconds late it does."""
    clips = list(islice(spoken(SEED, {truth.text for truth in read_truth(corpus)}), SENTENCES))
    for folder in checkpoints:
        model = load_model(folder)
        if model.head.search is not None:
            found = replace(model.calibration, delay_seconds=round(delay(model, clips), 3))
            write_calibration(found, folder)
            yield folder.name, found.delay_seconds


def delay(model: SpeechModel, clips: Sequence[Said]) -> float:
    """By how many seconds words are read later than they are said."""
    right = list(rightly(clips, transcribe(model, clips, delay_seconds=0.0), model.sample_rate))
    return fit_delay([read for _, read in right], [said for said, _ in right])


def spoken(seed: int, known: Collection[str]) -> Iterator[Said]:
    """Clips without end of sentences that are never trained on, and not among those that are known."""
    random = np.random.default_rng((seed, 2))
    for text in held_out_sentences(seed):
        if text not in known:
            taken = record(text, draw_manner(random), draw_room(random), random)
            yield Said(taken.samples, tuple((word.text, word.start, word.end) for word in taken.words))


def transcribe(
    model: SpeechModel, clips: Sequence[Said], search: Search | None = None, delay_seconds: float | None = None
) -> list[Transcript]:
    """Every clip's transcript."""
    told: list[Transcript] = []
    for first in range(0, len(clips), TOGETHER):
        samples = [clip.samples for clip in clips[first : first + TOGETHER]]
        for one in model.transcribe(samples, search, delay_seconds=delay_seconds):
            assert isinstance(one, Transcript)
            told.append(one)
    return told


def rightly(clips: Sequence[Said], told: Sequence[Transcript], sample_rate: int) -> Iterator[tuple[Edges, Edges]]:
    """Each word that was read right: where it is said, and where it was read."""
    for clip, one in zip(clips, told, strict=True):
        for i, j in matched(clip, one.words):
            if i is not None and j is not None and clip.words[i][0] == one.words[j].text:
                yield clip.words[i][1:], (one.words[j].start / sample_rate, one.words[j].end / sample_rate)


def matched(clip: Said, words: Sequence[Word]) -> list[tuple[int | None, int | None]]:
    """Which word of the truth each word stands for."""
    return pair([word for word, *_ in clip.words], [word.text for word in words])
