"""Synthetic speech: known words in known places."""

import subprocess
import sys
from itertools import islice, pairwise

import numpy as np
import pytest

from jobs.demo import espeak as binding
from jobs.demo.espeak import EspeakError, Manner, Spoken, espeak
from jobs.demo.grammar import sentences
from jobs.demo.lessons import CLIPS, SECONDS, SILENCE, lessons
from jobs.demo.speech import (
    HELD_OUT_VARIANTS,
    SAMPLE_RATE,
    TRAINING_VARIANTS,
    Room,
    Utterance,
    draw_room,
    record,
    run_on,
)
from tests.jobs.demo.speaking import needs_espeak

QUIET = Room(0.3, 0.3, 0.5, noise_decibels=90, colour=0, reverberation=0, dullness=0)


def say(text: str, voice: str = "en-us+f2") -> Spoken:
    return espeak().say(text, Manner(voice))


def recorded(text: str, room: Room = QUIET, seed: int = 0) -> Utterance:
    return record(text, Manner("en-us+m3"), room, np.random.default_rng(seed))


@needs_espeak
def test_every_word_of_every_sentence_is_found_in_its_place() -> None:
    for text in islice(sentences(7), 150):
        words = say(text).words
        assert [word.name for word in words] == text.split()
        for word, after in pairwise(words):
            assert word.start < word.end <= after.start < after.end


@needs_espeak
@pytest.mark.parametrize(("text", "second"), [("of the bell", "the"), ("do not stop", "not"), ("in the wind", "the")])
def test_words_that_are_run_together_are_told_apart(text: str, second: str) -> None:
    first, run, after = say(text).words
    assert run.name == second
    assert run.start - first.start > 0.04 * binding.SAMPLE_RATE
    assert run.end - run.start > 0.04 * binding.SAMPLE_RATE
    assert run.end <= after.start


@needs_espeak
def test_speech_is_loud_in_words_and_silent_around_them() -> None:
    heard = recorded("the harbour bell is ringing")
    first, last = heard.words[0], heard.words[-1]
    inside = heard.samples[round(first.start * SAMPLE_RATE) : round(last.end * SAMPLE_RATE)]
    before = heard.samples[: round((first.start - 0.02) * SAMPLE_RATE)]
    after = heard.samples[round((last.end + 0.1) * SAMPLE_RATE) :]
    assert min(len(before), len(after)) > 0.1 * SAMPLE_RATE
    assert np.abs(before).max() < 0.01 * np.abs(inside).max()
    assert np.abs(after).max() < 0.05 * np.abs(inside).max()


@needs_espeak
def test_a_gap_between_words_is_where_it_is_said_to_be() -> None:
    heard = record("north south", Manner("en-us+m3", gap=30), QUIET, np.random.default_rng(0))
    first, second = heard.words
    middle = (first.end + second.start) / 2
    gap = heard.samples[round((middle - 0.05) * SAMPLE_RATE) : round((middle + 0.05) * SAMPLE_RATE)]
    assert second.start - first.start > 0.5
    assert np.abs(gap).max() < 0.02 * np.abs(heard.samples).max()


@needs_espeak
def test_a_recording_follows_from_its_seed() -> None:
    program = (
        "import hashlib, sys, numpy as np; from jobs.demo.speech import *; random = np.random.default_rng(5);"
        "said = [record('good morning', draw_manner(random), draw_room(random), random) for _ in range(3)];"
        "print(hashlib.sha256(b''.join(heard.samples.tobytes() for heard in said)).hexdigest())"
    )
    first, second = (subprocess.check_output([sys.executable, "-c", program]) for _ in range(2))
    assert first == second


@needs_espeak
def test_another_seed_is_another_noise() -> None:
    room = draw_room(np.random.default_rng(5))
    one, other = recorded("hello", room, 1), recorded("hello", room, 2)
    assert not np.array_equal(one.samples, other.samples)


@needs_espeak
def test_every_voice_can_speak() -> None:
    lengths = {variant: len(say("good morning", f"en-us+{variant}").samples) for variant in TRAINING_VARIANTS}
    assert all(length > 0.4 * binding.SAMPLE_RATE for length in lengths.values())
    assert not set(TRAINING_VARIANTS) & set(HELD_OUT_VARIANTS)


@needs_espeak
def test_a_voice_that_is_not_there_is_named() -> None:
    with pytest.raises(EspeakError, match="no voice nowhere"):
        say("hello", "nowhere")


def test_without_espeak_a_person_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding.ctypes.util, "find_library", lambda _: "libnowhere.so")
    with pytest.raises(EspeakError, match="apt-get install espeak-ng"):
        binding.Espeak()


@needs_espeak
def test_a_lesson_knows_its_phonemes() -> None:
    lesson = next(lessons(1))
    assert len(lesson.texts) == CLIPS == len(lesson.samples) == len(lesson.phonemes)
    assert lesson.phonemes.shape[1] == -(-lesson.samples.shape[1] // 160)
    heard = lesson.phonemes != SILENCE
    assert 0.3 < heard.mean() < 0.98
    assert not heard[:, :4].any()


@needs_espeak
def test_a_long_lesson_has_recordings_of_many_lengths_and_knows_their_phonemes() -> None:
    group = list(islice(lessons(1, joined=(8,)), 12))
    assert all(len(one.samples) == 1 or one.seconds <= SECONDS for one in group)
    counts = [len(text.split()) for one in group for text in one.texts]
    assert (min(counts) < 10, max(counts) > 40) == (True, True)
    for one in group:
        assert one.phonemes.shape[1] == -(-one.samples.shape[1] // 160)
        assert 0.3 < (one.phonemes != SILENCE).mean() < 0.98


@needs_espeak
def test_recordings_that_run_on_know_where_their_words_are() -> None:
    one, other = recorded("good morning"), recorded("north south")
    both = run_on([one, other])
    assert both.text == "good morning north south"
    assert [word.text for word in both.words] == both.text.split()
    seconds = len(one.samples) / SAMPLE_RATE
    assert both.words[2].start == other.words[0].start + seconds
    assert both.phonemes[len(one.phonemes)].start == other.phonemes[0].start + seconds
    np.testing.assert_array_equal(both.samples, np.concatenate([one.samples, other.samples]))
