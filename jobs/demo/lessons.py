"""Batches of fresh speech without end: no sentence's recording is ever heard twice.

The batches follow from the seed, so training can be repeated. Speech is made in a process of its own, while the last
batch is learned from; also because espeak-ng speaks a sentence a little differently when it has spoken before.
"""

import multiprocessing
import multiprocessing.queues
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count, islice

import numpy as np
import numpy.typing as npt

from jobs.demo.espeak import Manner, espeak
from jobs.demo.grammar import training_sentences
from jobs.demo.speech import LANGUAGES, SAMPLE_RATE, Samples, Utterance, draw_manner, draw_room, record, run_on, studio

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
SENTENCES, SECONDS = 256, 40.0
"""Of long lessons: in a group of batches, and in a batch; a longer recording is one by itself."""
GROUPS = 8
"""Groups of long lessons before their recordings grow."""
TURNS = 0.25
"""The share of long recordings in which speakers take turns."""
HUSH = 0.1, 0.5
"""Seconds before and after each sentence of a long recording: between two, twice that."""


@dataclass(frozen=True)
class Lesson:
    """Clips of one length and what they say."""

    samples: Samples
    """(clips, samples): faint noise after each clip's own end."""
    texts: tuple[str, ...]
    phonemes: npt.NDArray[np.int64]
    """(clips, steps): what is heard at each step, as a place in the inventory; 0 is silence."""

    @property
    def length(self) -> float:
        """Seconds of each clip."""
        return self.samples.shape[1] / SAMPLE_RATE

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


def lessons(seed: int, texts: Texts = training_sentences, joined: Sequence[int] = ()) -> Iterator[Lesson]:
    """Batches in the order of learning: of single sentences, or of recordings of up to so many, which grow."""
    known = {name: place for place, name in enumerate(inventory())}
    for group in count():
        random = np.random.default_rng((seed, group))
        if joined:
            yield from _long_group(random, texts, known, joined[min(group // GROUPS, len(joined) - 1)])
        else:
            yield from _group(random, texts, known)


@contextmanager
def lessons_ahead(seed: int, texts: Texts, joined: Sequence[int]) -> Iterator[Iterator[Lesson]]:
    """The same, made ahead in another process, which ends with the block."""
    context = multiprocessing.get_context("spawn")
    waiting: multiprocessing.queues.Queue[Lesson] = context.Queue(READY * BATCHES)
    maker = context.Process(target=_make, args=(seed, texts, joined, waiting), daemon=True)
    maker.start()
    try:
        yield iter(waiting.get, None)
    finally:
        maker.terminate()
        maker.join()


def _make(seed: int, texts: Texts, joined: Sequence[int], waiting: "multiprocessing.queues.Queue[Lesson]") -> None:
    for lesson in lessons(seed, texts, joined):
        waiting.put(lesson)


def _group(random: np.random.Generator, texts: Texts, known: dict[str, int]) -> list[Lesson]:
    said = islice(texts(int(random.integers(2**62))), CLIPS * BATCHES)
    spoken = [record(text, draw_manner(random), draw_room(random), random) for text in said]
    spoken.sort(key=lambda utterance: len(utterance.samples))
    batches = [spoken[start : start + CLIPS] for start in range(0, len(spoken), CLIPS)]
    return [_lesson(batches[i], random, known) for i in random.permutation(BATCHES)]


def _long_group(random: np.random.Generator, texts: Texts, known: dict[str, int], most: int) -> list[Lesson]:
    """Recordings of all lengths: of any length there is as much to hear as of twice that length."""
    said = texts(int(random.integers(2**62)))
    counts: list[int] = []
    while sum(counts) < SENTENCES:
        counts.append(min(most, int(1 / (1 - random.random()))))
    spoken = [_recording(list(islice(said, length)), random) for length in counts]
    spoken.sort(key=lambda utterance: len(utterance.samples))
    batches: list[list[Utterance]] = [[]]
    for clip in spoken:
        if batches[-1] and (len(batches[-1]) + 1) * len(clip.samples) > SECONDS * SAMPLE_RATE:
            batches.append([])
        batches[-1].append(clip)
    return [_lesson(batches[i], random, known) for i in random.permutation(len(batches))]


def _recording(texts: list[str], random: np.random.Generator) -> Utterance:
    """A sentence as it is drawn, or several, one after another, in a room without noise."""
    manner, room = draw_manner(random), draw_room(random)
    if len(texts) == 1:
        return record(texts[0], manner, room, random)
    turns = random.random() < TURNS
    takes: list[Utterance] = []
    for text in texts:
        if turns and random.random() < 0.5:
            manner, room = draw_manner(random), draw_room(random)
        before, after = random.uniform(*HUSH, 2)
        takes.append(record(text, manner, studio(room, before, after), random))
    return run_on(takes)


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
