"""Recordings from sentences: a speaker, a room, some noise, at 16 kHz, with every word's place known.

Everything follows from the seed of the generator that is passed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import soxr

from jobs.demo.espeak import SAMPLE_RATE as SPOKEN_RATE
from jobs.demo.espeak import Manner, Sound, espeak

SAMPLE_RATE = 16_000
Samples = npt.NDArray[np.float32]

LANGUAGES = ("en-us", "en-us", "en-us", "en")
"""American, and now and then British."""
TRAINING_VARIANTS = ("m1", "m2", "m3", "m5", "m6", "m8", "f1", "f2", "f4", "f5", "belinda", "steph", "paul", "john")
HELD_OUT_VARIANTS = ("m4", "m7", "f3", "linda", "rob")
"""Voices that nothing is trained on."""

QUIET, LOUD = 0.05, 0.3
"""Peaks of the faintest and the loudest recording, as a share of full scale times three."""


@dataclass(frozen=True)
class Word:
    """A word or a phoneme, in seconds from the start of its recording."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Utterance:
    """One sentence as it was recorded."""

    samples: Samples
    text: str
    words: tuple[Word, ...]
    phonemes: tuple[Word, ...]
    manner: Manner


@dataclass(frozen=True)
class Room:
    """What the recording adds to the voice."""

    before: float
    """Seconds of silence before the first word."""
    after: float
    level: float
    """Peak of the speech, 1 is full scale."""
    noise_decibels: float
    """Speech over noise."""
    colour: float
    """Of the noise: 0 is white, 1 falls by 6 dB an octave."""
    reverberation: float
    """Seconds for an echo to fall by 60 dB; 0 for none."""
    dullness: float
    """0 is the voice as it is, towards 1 treble is lost, below 0 bass."""


def draw_manner(random: np.random.Generator, variants: tuple[str, ...] = TRAINING_VARIANTS) -> Manner:
    """A speaker and a way to speak."""
    return Manner(
        voice=f"{random.choice(LANGUAGES)}+{random.choice(variants)}",
        words_per_minute=int(random.integers(135, 186)),
        pitch=int(random.integers(38, 66)),
        pitch_range=int(random.integers(35, 66)),
        gap=int(random.choice([0, 0, 0, 1, 2, 4])),
    )


def draw_room(random: np.random.Generator) -> Room:
    """A place to record in: four in ten are clean, three in ten echo."""
    clean = random.random() < 0.4
    return Room(
        before=float(random.uniform(0.05, 0.4)),
        after=float(random.uniform(0.1, 0.4)),
        level=float(np.exp(random.uniform(np.log(0.1), np.log(0.9)))),
        noise_decibels=float(random.uniform(35, 60) if clean else random.uniform(15, 40)),
        colour=float(random.uniform(0, 1)),
        reverberation=float(random.uniform(0.1, 0.4)) if random.random() < 0.25 else 0.0,
        dullness=float(random.uniform(-0.2, 0.4)),
    )


def studio(room: Room, before: float, after: float) -> Room:
    """A room in which long recordings are made: little noise, no echo, and these seconds around each sentence."""
    return replace(room, noise_decibels=30.0, reverberation=0.0, before=before, after=after)


def record(text: str, manner: Manner, room: Room, random: np.random.Generator) -> Utterance:
    """Speak a sentence in a room."""
    spoken = espeak().say(text, manner)
    voice = soxr.resample(spoken.samples.astype(np.float32), SPOKEN_RATE, SAMPLE_RATE)
    padding = round(room.before * SAMPLE_RATE), round(room.after * SAMPLE_RATE)
    voice = _echoing(np.pad(_filtered(voice, room.dullness), padding), room.reverberation, random)
    voice *= room.level / max(float(np.abs(voice).max()), 1e-9)
    noise = _noise(len(voice), room.colour, random)
    noise *= float(np.sqrt(np.mean(voice**2))) * 10 ** (-room.noise_decibels / 20)
    samples = np.clip(voice + noise, -1, 1).astype(np.float32)
    words, phonemes = (_placed(sounds, padding[0]) for sounds in (spoken.words, spoken.phonemes))
    return Utterance(samples, text, words, phonemes, manner)


def run_on(takes: Sequence[Utterance]) -> Utterance:
    """One after another, as one recording in the manner of the first."""
    words: list[Word] = []
    phonemes: list[Word] = []
    start = 0
    for take in takes:
        words += _moved(take.words, start / SAMPLE_RATE)
        phonemes += _moved(take.phonemes, start / SAMPLE_RATE)
        start += len(take.samples)
    samples = np.concatenate([take.samples for take in takes])
    text = " ".join(take.text for take in takes if take.text)
    return Utterance(samples, text, tuple(words), tuple(phonemes), takes[0].manner)


def _moved(sounds: Sequence[Word], seconds: float) -> list[Word]:
    return [Word(sound.text, sound.start + seconds, sound.end + seconds) for sound in sounds]


def _placed(sounds: tuple[Sound, ...], offset: int) -> tuple[Word, ...]:
    before = offset / SAMPLE_RATE
    return tuple(Word(s.name, before + s.start / SPOKEN_RATE, before + s.end / SPOKEN_RATE) for s in sounds)


def _filtered(voice: Samples, dullness: float) -> Samples:
    """One tap back: a gentle slope over frequencies."""
    filtered = voice.copy()
    filtered[1:] += dullness * voice[:-1]
    return filtered


def _echoing(voice: Samples, seconds: float, random: np.random.Generator) -> Samples:
    """The voice and its echoes, which come after it: words stay where they are."""
    if not seconds:
        return voice
    count = round(seconds * SAMPLE_RATE)
    times = np.arange(count) / SAMPLE_RATE
    echoes = random.standard_normal(count) * 10 ** (-3 * times / seconds)
    echoes[: SAMPLE_RATE // 500] = 0
    echoes *= random.uniform(0.2, 0.6) / np.sqrt(np.sum(echoes**2))
    echoes[0] = 1
    size = _power_of_two(len(voice) + count)
    return np.fft.irfft(np.fft.rfft(voice, size) * np.fft.rfft(echoes, size), size)[: len(voice)].astype(np.float32)


def _noise(count: int, colour: float, random: np.random.Generator) -> Samples:
    """Noise of unit power, drawn by frequency."""
    size = _power_of_two(count)
    spectrum = random.standard_normal(size + 2, np.float32).view(np.complex64)
    spectrum *= np.maximum(np.arange(len(spectrum), dtype=np.float32), 1) ** np.float32(-colour)
    noise = np.fft.irfft(spectrum, size)[:count].astype(np.float32)
    return np.asarray(noise / max(float(noise.std()), 1e-12), np.float32)


def _power_of_two(count: int) -> int:
    """The least that is enough: a transform of such a size is quick."""
    return 1 << (count - 1).bit_length()
