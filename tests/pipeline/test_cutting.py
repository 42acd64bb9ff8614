"""Long recordings are cut where it is quiet, and no word is lost or doubled at a cut."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audio import AudioRules
from pipeline.audio.cutting import Bounds, Cutter, Loudness, Piece
from pipeline.schema import Samples, Segment
from tests.pipeline.sounds import RATE, encode, hear, noise, tone

SLOW_RATE = 1_000
"""Samples per second of the streams below, so that hours of them cost nothing."""
BOUNDS = Bounds(shortest=50, longest=120, context=40, window=10)
FRAME = SLOW_RATE // 50


def cut(samples: Samples, chunks: Sequence[int] = (), bounds: Bounds = BOUNDS) -> list[Piece]:
    """The pieces of a stream that arrives in chunks of these lengths, over and over."""

    def pieces() -> Iterator[Piece]:
        cutter, at, turn = Cutter(Loudness(SLOW_RATE), bounds), 0, 0
        while at < len(samples):
            size = chunks[turn % len(chunks)] if chunks else len(samples)
            yield from cutter.push(samples[at : at + size])
            at, turn = at + size, turn + 1
        yield from cutter.flush()

    return list(pieces())


@st.composite
def streams(draw: st.DrawFn) -> Samples:
    """Noise that swells and fades, with true silence here and there."""
    length = draw(st.integers(0, 12_000))
    seed = draw(st.integers(0, 2**16))
    random = np.random.default_rng(seed)
    steps = random.choice([0.0, 1e-4, 0.01, 0.3], size=length // 97 + 1)
    return (np.repeat(steps, 97)[:length] * random.standard_normal(length)).astype(np.float32)


@st.composite
def bounds(draw: st.DrawFn) -> Bounds:
    shortest = draw(st.integers(10, 60))
    longest = draw(st.integers(2 * shortest, 150))
    return Bounds(shortest, longest, draw(st.integers(0, shortest)), 10)


@settings(max_examples=150, deadline=None)
@given(streams(), bounds(), st.lists(st.integers(1, 5_000), min_size=1, max_size=5))
def test_cores_tile_the_recording_within_bounds(samples: Samples, limits: Bounds, chunks: list[int]) -> None:
    pieces = cut(samples, chunks, limits)
    edges = [piece.core[0] for piece in pieces] + [pieces[-1].core[1]]
    assert (edges[0], edges[-1]) == (0, len(samples))
    assert [piece.core for piece in pieces] == list(pairwise(edges))
    assert [piece.last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    lengths = np.diff(edges)
    assert lengths.max() <= limits.longest * FRAME
    if len(pieces) > 1:
        assert lengths.min() >= limits.shortest * FRAME
    else:
        assert len(samples) <= limits.longest * FRAME


@settings(max_examples=100, deadline=None)
@given(streams(), st.lists(st.integers(1, 5_000), min_size=1, max_size=5))
def test_a_piece_hears_its_core_and_the_context_around_it(samples: Samples, chunks: list[int]) -> None:
    for piece in cut(samples, chunks):
        first = max(0, piece.core[0] - BOUNDS.context * FRAME)
        final = min(len(samples), piece.core[1] + BOUNDS.context * FRAME)
        if samples[first:final].any():
            assert piece.start == first
            np.testing.assert_array_equal(piece.samples, samples[first:final])
        else:
            assert not len(piece.samples)


@settings(max_examples=100, deadline=None)
@given(streams(), st.lists(st.integers(1, 5_000), min_size=1, max_size=5))
def test_how_a_stream_is_chunked_does_not_move_a_cut(samples: Samples, chunks: list[int]) -> None:
    at_once, in_chunks = cut(samples), cut(samples, chunks)
    assert [(p.start, p.core) for p in at_once] == [(p.start, p.core) for p in in_chunks]
    for one, other in zip(at_once, in_chunks, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)


@st.composite
def speech(draw: st.DrawFn) -> tuple[Samples, list[tuple[int, int]]]:
    """Words, which are bursts of one loudness, and pauses, many of them too short to be a window of silence."""
    words, begin = [], 0
    for pause, length in draw(st.lists(st.tuples(st.integers(40, 400), st.integers(60, 700)), min_size=1, max_size=40)):
        words.append((begin + pause, begin + pause + length))
        begin += pause + length
    samples = np.full(begin + draw(st.integers(0, 300)), 1e-3, np.float32)
    for first, final in words:
        samples[first:final] = 0.5
    return samples, words


def recognise(piece: Piece) -> list[tuple[int, int]]:
    """The words that one piece is believed for: those whose centre lies in its core."""
    loud = np.diff((piece.samples > 0.1).astype(int), prepend=0, append=0)
    spans = zip(np.flatnonzero(loud == 1) + piece.start, np.flatnonzero(loud == -1) + piece.start, strict=True)
    return [(int(a), int(b)) for a, b in spans if 2 * piece.core[0] <= a + b < 2 * piece.core[1]]


@settings(max_examples=300, deadline=None)
@given(speech())
def test_a_word_is_neither_lost_nor_doubled_at_a_cut(spoken: tuple[Samples, list[tuple[int, int]]]) -> None:
    samples, words = spoken
    assert [word for piece in cut(samples) for word in recognise(piece)] == words


def test_a_cut_falls_in_the_middle_of_the_pause() -> None:
    sound = noise(100.0)
    for pause in (17.0, 24.5, 38.0, 52.3, 71.0, 83.9):
        sound[round((pause - 0.1) * RATE) : round((pause + 0.1) * RATE)] *= 0.001
    cuts = [segment.core[0] / RATE for segment in hear(encode(sound, subtype="FLOAT"))[1:]]
    assert all(min(abs(cut - pause) for pause in (17.0, 24.5, 38.0, 52.3, 71.0, 83.9)) <= 0.02 for cut in cuts)
    assert len(cuts) >= 4


def test_a_cut_falls_in_the_middle_of_an_even_pause_and_in_the_last_of_several() -> None:
    sound = noise(60.0)
    sound[12 * RATE : 15 * RATE] = sound[22 * RATE : 26 * RATE] = 0
    assert hear(encode(sound))[0].core[1] / RATE == pytest.approx(24.0, abs=0.05)


@pytest.mark.parametrize("context", [0.0, 1.0])
@pytest.mark.parametrize("gap", [0.02, 0.06, 0.1, 0.18])
def test_a_cut_falls_in_a_pause_and_not_in_a_gap_that_a_lost_packet_left_in_a_word(context: float, gap: float) -> None:
    sound = noise(40.0)
    sound[round(16.8 * RATE) : round(17.2 * RATE)] *= 0.03  # a room's own noise
    for lost in np.arange(11.03, 29.0, 0.5):
        if abs(lost - 17.0) > 0.4:
            sound[round(lost * RATE) : round((lost + gap) * RATE)] = 0
    (end,) = [each.core[1] / RATE for each in hear(encode(sound), AudioRules(context_seconds=context)) if not each.last]
    assert 16.9 <= end <= 17.1


def test_a_recording_up_to_the_longest_is_one_segment() -> None:
    assert len(hear(encode(noise(30.0)))) == 1
    assert len(hear(encode(noise(30.001)))) == 2


def test_without_cutting_a_recording_is_one_segment_however_long() -> None:
    (segment,) = hear(encode(noise(95.0)), AudioRules(cut="none"))
    assert segment.core == (0, 95 * RATE)
    assert len(segment.samples) == 95 * RATE


def test_each_channel_is_cut_at_its_own_pauses() -> None:
    left, right = noise(40.0), noise(40.0, seed=1)
    left[14 * RATE : 15 * RATE] = 0
    right[18 * RATE : 19 * RATE] = 0
    heard = hear(encode(np.stack([left, right], axis=1)), AudioRules(channels="each"))
    cuts = {segment.channel: segment.core[1] / RATE for segment in heard if not segment.last}
    assert 14 < cuts[0] < 15
    assert 18 < cuts[1] < 19
    assert [[s.index for s in heard if s.channel == channel] for channel in (0, 1)] == [[0, 1], [0, 1]]
    assert {s.total for s in heard if s.last} == {40 * RATE}


def test_digital_silence_is_not_handed_to_the_model() -> None:
    sound = np.concatenate([noise(20.0), np.zeros(80 * RATE, np.float32)])
    heard = hear(encode(sound))
    silent = [segment for segment in heard if not len(segment.samples)]
    assert silent
    assert all(segment.failure is None and segment.core[0] > 20 * RATE for segment in silent)
    assert heard[-1].core[1] == 100 * RATE
    assert not any(len(segment.samples) for segment in hear(encode(np.zeros(RATE, np.float32))))


def test_words_of_a_long_recording_keep_their_true_times() -> None:
    """Ten minutes at 44.1 kHz: integer samples do not drift."""
    rate, marks = 44_100, [3.0 + 7.3 * mark for mark in range(81)]
    sound = noise(600.0, rate, loudness=1e-3)
    for mark in marks:
        at = round(mark * rate)
        sound[at : at + rate // 10] += tone(1_000, 0.1, rate)
    found = [centre for segment in hear(encode(sound, rate, "FLAC")) for centre in bursts(segment)]
    np.testing.assert_allclose(found, np.array(marks) + 0.05, atol=1e-3)


def bursts(segment: Segment) -> list[float]:
    """The seconds at which marks in its core have their centres."""
    loud = np.convolve(np.abs(segment.samples) > 0.1, np.ones(32), "same") > 0
    edges = np.flatnonzero(np.diff(loud.astype(int), prepend=0, append=0)) + segment.start
    centres = (edges[::2] + edges[1::2]) / 2
    return [float(c) / RATE for c in centres if segment.core[0] <= c < segment.core[1]]


MEASURE = """
import resource, sys
from pipeline.audio import AudioRules, segments
from pipeline.schema import Recording, Span
from tests.pipeline.sounds import RATE, encode, noise

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def heard(path):
    every = segments(Recording("s", 0, "r", path, Span(path)), AudioRules(channels=sys.argv[2]))
    return sum(segment.core[1] - segment.core[0] for segment in every)

heard(sys.argv[3])
before = peak()
print(heard(sys.argv[1]), peak() - before)
"""


def write_long(path: Path, seconds: int, form: str) -> None:
    """Stereo noise that swells and fades, at 44.1 kHz, written as a stream."""
    block = (noise(10.0, 44_100) * np.abs(tone(0.3, 10.0, 44_100))).astype(np.float32)
    with soundfile.SoundFile(path, "w", 44_100, 2, format=form, subtype="PCM_16") as file:
        for _ in range(seconds // 10):
            file.write(np.stack([block, block[::-1]], axis=1))


@pytest.mark.parametrize(
    ("seconds", "form", "channels"),
    [
        (1_200, "WAV", "mix"),
        pytest.param(10_800, "FLAC", "mix", marks=pytest.mark.slow),
        pytest.param(10_800, "WAV", "each", marks=pytest.mark.slow),
    ],
)
def test_memory_does_not_grow_with_the_recording(tmp_path: Path, seconds: int, form: str, channels: str) -> None:
    write_long(tmp_path / "long", seconds, form)
    write_long(tmp_path / "short", 120, form)
    arguments = [str(tmp_path / "long"), channels, str(tmp_path / "short")]
    printed = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments], check=True, capture_output=True, text=True
    ).stdout.split()
    assert int(printed[0]) == seconds * RATE * (2 if channels == "each" else 1)
    assert float(printed[1]) < 40  # megabytes: two minutes were heard before, and hours add no more than that
