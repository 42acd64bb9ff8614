"""The segments of one long file, decoded once: what is heard of each is what it would be alone."""

import errno
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from pipeline.audio import AudioRules, Deck, deck, reading, segments
from pipeline.audio.decoders import Ffmpeg, Libsndfile
from pipeline.schema import Recording, Samples, Segment
from pipeline.storage import StoreError
from tests.pipeline.sounds import RATE, encode, encode_ffmpeg, noise, recording

SECONDS = 60.0
Stretch = tuple[float, float | None]
"""Where a segment begins, and how long it is."""
FORMS = {
    "mp3": lambda sound: encode(sound, form="MP3"),
    "vorbis": lambda sound: encode(sound, form="OGG"),
    "opus": lambda sound: encode_ffmpeg(sound, RATE, "webm", "libopus"),
    "m4a": lambda sound: encode_ffmpeg(sound, RATE, "ipod", "aac"),
}
IN_ORDER = [(0.0, 3.0), (3.0, 0.5), (3.2, 4.0), (7.0, 10.0), (17.0, 1.0), (30.0, 2.0), (55.0, 5.0)]
OUT_OF_ORDER = [(40.0, 3.0), (1.0, 2.0), (41.0, 3.0), (0.0, 2.0), (58.0, 1.0), (57.9, None), (59.0, 9.0), (70.0, 1.0)]


@pytest.fixture(scope="module", params=FORMS)
def audio(request: pytest.FixtureRequest) -> bytes:
    return FORMS[request.param](noise(SECONDS))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Frames of each block that a decoder makes."""
    made: list[int] = []

    def counted(kind: type[Ffmpeg | Libsndfile]) -> None:
        blocks = kind.blocks

        def counting(self: Ffmpeg | Libsndfile) -> Iterator[Samples]:
            for block in blocks(self):  # type: ignore[arg-type]
                made.append(len(block) * RATE // self.rate)
                yield block

        monkeypatch.setattr(kind, "blocks", counting)

    counted(Ffmpeg)
    counted(Libsndfile)
    return made


def parts(audio: bytes, stretches: Sequence[Stretch]) -> list[Recording]:
    return [replace(recording(audio), begin=begin, duration=duration) for begin, duration in stretches]


def heard(recordings: list[Recording], on: Deck | None, rules: AudioRules | None = None) -> list[list[Segment]]:
    return [list(segments(one, rules or AudioRules(), on)) for one in recordings]


def assert_same(one: list[list[Segment]], other: list[list[Segment]]) -> None:
    for mine, theirs in zip(one, other, strict=True):
        assert [replace(each, samples=None) for each in mine] == [replace(each, samples=None) for each in theirs]
        for each, like in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(each.samples, like.samples)


@pytest.mark.parametrize("stretches", [IN_ORDER, OUT_OF_ORDER])
@pytest.mark.parametrize("reach", [0, deck.REACH])
def test_on_a_deck_and_alone_the_same_is_heard(
    audio: bytes, stretches: Sequence[Stretch], reach: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deck, "REACH", reach)
    assert_same(heard(parts(audio, stretches), Deck()), heard(parts(audio, stretches), None))


@pytest.mark.parametrize("rules", [AudioRules(channels="each"), AudioRules(channels="first"), AudioRules()])
def test_what_is_handed_out_again_was_not_changed(rules: AudioRules, decoded: list[int]) -> None:
    """Segments that overlap, and two channels that take turns, at a rate that needs no resampling and one that does."""
    for rate in (RATE, 48_000):
        both = np.stack([noise(SECONDS, rate), noise(SECONDS, rate, seed=1)], 1)
        rows = parts(encode(both, rate, "MP3"), [(at, 9.0) for at in range(0, 50, 5)])
        turns = [replace(row, channel=channel) for row in rows for channel in ((0, 1) if not rate % 3 else (None,))]
        decoded.clear()
        found = heard(turns, Deck(), rules)
        assert sum(decoded) <= 1.01 * SECONDS * RATE
        assert_same(found, heard(turns, None, rules))


def test_many_segments_of_one_file_are_decoded_once(audio: bytes, decoded: list[int]) -> None:
    many = parts(audio, [(at / 2, 0.5) for at in range(int(2 * SECONDS))])
    heard(many, Deck())
    assert sum(decoded) == pytest.approx(SECONDS * RATE, rel=0.01)
    decoded.clear()
    heard(many[-10:], None)
    assert sum(decoded) > 9 * SECONDS * RATE, "and without a deck each from the beginning"


def test_what_a_rule_skips_costs_no_second_decoding(audio: bytes, decoded: list[int]) -> None:
    rules = AudioRules(skip_shorter_seconds=0.4, skip_longer_seconds=2.0)
    many = parts(audio, [(float(at), 0.2 if at % 3 else 1.5 + at % 2) for at in range(int(SECONDS))])
    found = heard(many, Deck(), rules)
    assert sum(decoded) <= 1.01 * SECONDS * RATE
    assert_same(found, heard(many, None, rules))
    assert {each[-1].failure.kind for each in found if each[-1].failure} == {"TooShort", "TooLong"}


def test_what_storage_fails_to_give_is_not_held_against_the_next(audio: bytes) -> None:
    """A decoder reads ahead: the segment that it was at has all that it needs, and the next is read anew."""

    class Flaky(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            if failing and self.tell() <= failing[0] < self.tell() + (count or 0):
                failing.clear()
                raise OSError(errno.EIO, "flaky")
            return super().read(count)

    many, failing, failures = parts(audio, [(2.0 * at, 2.0) for at in range(10)]), list[int](), 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reading, "_open", Flaky)
        for at in range(len(audio) // 20, len(audio) // 3, len(audio) // 40):
            deck = Deck()
            for one in many:
                failing[:] = [at] if one is many[1] else failing
                waiting = bool(failing)
                try:
                    list(segments(one, AudioRules(), deck))
                except StoreError:
                    failures += 1
                    assert waiting and not failing, "the error is of the segment in which it was met"
    assert failures


def test_a_file_that_breaks_off_fails_the_same_segments_with_the_same_words(audio: bytes) -> None:
    broken = audio[: len(audio) // 2]
    found = heard(parts(broken, IN_ORDER), Deck())
    assert_same(found, heard(parts(broken, IN_ORDER), None))
    assert found[-1][-1].failure is not None


def test_the_limit_of_what_is_decoded_is_the_same(audio: bytes) -> None:
    rules = AudioRules(most_bytes=40 * RATE * 4)
    found = heard(parts(audio, IN_ORDER), Deck(), rules)
    assert_same(found, heard(parts(audio, IN_ORDER), None, rules))
    assert found[0][-1].failure is None and found[-1][-1].failure is not None
    assert found[-1][-1].failure.kind == "TooLarge"


def test_another_file_is_another_file_and_the_one_before_is_closed(audio: bytes) -> None:
    other = encode(noise(5.0, seed=1), form="MP3")
    one = Deck()
    heard(parts(audio, [(0.0, 1.0)]), one)
    left = one._held
    assert left is not None
    mixed = parts(other, [(1.0, 1.0)])
    assert_same(heard(mixed, one), heard(mixed, None))
    assert left.source._file.closed
    heard(parts(encode(noise(2.0)), [(1.0, 0.5)]), one)
    assert one._held is None, "in a WAV, any place is found as soon"
