"""Batches of fresh speech without end: no sentence's recording is ever heard twice.

The batches follow from the seed, so training can be repeated. Speech is made in a process of its own, while the last
batch is learned from; also because espeak-ng speaks a sentence a little differently when it has spoken before.
"""

import multiprocessing
import multiprocessing.queues
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count, islice

import numpy as np
import numpy.typing as npt

from jobs.demo.espeak import Manner, espeak
from jobs.demo.grammar import training_sentences
from jobs.demo.speech import LANGUAGES, SAMPLE_RATE, Samples, Utterance, draw_manner, draw_room, record

Texts = Callable[[int], Iterator[str]]
"""A seed to what is said; a function of a module, because it travels to another process."""

CLIPS = 8
"""In a batch."""
BATCHES = 8
"""Made together and sorted by length, so that a batch has little padding."""
READY = 2
"""Groups of batches that wait for the learner."""
TRACK_HOP = 160
"""Samples from one step of a phoneme track to the next."""
SILENCE = 0
UNKNOWN = -100
FAINT = 1e-4
"""The noise after a clip's end."""


@dataclass(frozen=True)
class Lesson:
    """Clips of one length and what they say."""

    samples: Samples
    """(clips, samples): faint noise after each clip's own end."""
    texts: tuple[str, ...]
    phonemes: npt.NDArray[np.int64]
    """(clips, steps): what is heard at each step, as a place in the inventory; 0 is silence."""

    @property
    def seconds(self) -> float:
        """Audio in it."""
        return self.samples.size / SAMPLE_RATE


@cache
def inventory() -> tuple[str, ...]:
    """The phonemes of the languages spoken, silence first."""
    texts = list(islice(training_sentences(0), 300))
    heard = {
        phoneme.name
        for language in sorted(set(LANGUAGES))
        for text in texts
        for phoneme in espeak().say(text, Manner(language)).phonemes
    }
    return ("", *sorted(heard))


def lessons(seed: int, texts: Texts = training_sentences) -> Iterator[Lesson]:
    """Batches in the order of learning."""
    known = {name: place for place, name in enumerate(inventory())}
    for group in count():
        yield from _group(np.random.default_rng((seed, group)), texts, known)


@contextmanager
def lessons_ahead(seed: int, texts: Texts) -> Iterator[Iterator[Lesson]]:
    """The same, made ahead in another process, which ends with the block."""
    context = multiprocessing.get_context("spawn")
    waiting: multiprocessing.queues.Queue[Lesson] = context.Queue(READY * BATCHES)
    maker = context.Process(target=_make, args=(seed, texts, waiting), daemon=True)
    maker.start()
    try:
        yield iter(waiting.get, None)
    finally:
        maker.terminate()
        maker.join()


def _make(seed: int, texts: Texts, waiting: "multiprocessing.queues.Queue[Lesson]") -> None:
    for lesson in lessons(seed, texts):
        waiting.put(lesson)


def _group(random: np.random.Generator, texts: Texts, known: dict[str, int]) -> list[Lesson]:
    said = islice(texts(int(random.integers(2**62))), CLIPS * BATCHES)
    spoken = [record(text, draw_manner(random), draw_room(random), random) for text in said]
    spoken.sort(key=lambda utterance: len(utterance.samples))
    batches = [spoken[start : start + CLIPS] for start in range(0, len(spoken), CLIPS)]
    return [_lesson(batches[i], random, known) for i in random.permutation(BATCHES)]


def _lesson(clips: list[Utterance], random: np.random.Generator, known: dict[str, int]) -> Lesson:
    longest = max(len(clip.samples) for clip in clips)
    samples = FAINT * random.standard_normal((len(clips), longest), np.float32)
    phonemes = np.full((len(clips), -(-longest // TRACK_HOP)), SILENCE, np.int64)
    for row, track, clip in zip(samples, phonemes, clips, strict=True):
        row[: len(clip.samples)] = clip.samples
        for sound in clip.phonemes:
            steps = slice(*(round(seconds * SAMPLE_RATE / TRACK_HOP) for seconds in (sound.start, sound.end)))
            track[steps] = known.get(sound.text, UNKNOWN)
    return Lesson(samples, tuple(clip.text for clip in clips), phonemes)
