"""What is wrong with a recording becomes one failed segment that says so; nothing is raised, and neighbours live."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.audio import AudioRules, segments
from pipeline.schema import FAILED, Recording, Span
from pipeline.storage import StoreError
from pipeline.stores import errors
from tests.pipeline.sounds import RATE, encode, encode_ffmpeg, hear, kind, noise, tone

SOUND = noise(5.0)
WAV, FLAC, MP3, OGG = (encode(SOUND, form=form) for form in ("WAV", "FLAC", "MP3", "OGG"))
WEBM = encode_ffmpeg(noise(5.0, 48_000), 48_000, "webm", "libopus")
OPUS = encode_ffmpeg(noise(5.0, 48_000), 48_000, "ogg", "libopus")
M4A = encode_ffmpeg(SOUND, RATE, "ipod", "aac")
FASTSTART = encode_ffmpeg(SOUND, RATE, "mp4", "aac", {"movflags": "faststart"})
FRAGMENTED = encode_ffmpeg(SOUND, RATE, "mp4", "aac", {"movflags": "frag_keyframe+empty_moov+default_base_moof"})
AAC = encode_ffmpeg(SOUND, RATE, "adts", "aac")
WHOLE = {
    "wav": WAV, "flac": FLAC, "mp3": MP3, "ogg": OGG, "webm": WEBM, "opus": OPUS, "m4a": M4A, "mp4": FASTSTART,
    "fragmented mp4": FRAGMENTED, "aac": AAC, "8 bit wav": encode(SOUND, subtype="PCM_U8"),
    "float wav": encode(SOUND, subtype="DOUBLE"), "opus by libsndfile": encode(SOUND, form="OGG", subtype="OPUS"),
    "adpcm": encode(SOUND, subtype="IMA_ADPCM"),
    **{form.lower(): encode(SOUND, form=form) for form in ("AIFF", "AU", "CAF", "W64", "RF64", "NIST", "VOC")},
}  # fmt: skip


def with_size(audio: bytes, size: int) -> bytes:
    """A WAV whose data chunk claims these bytes."""
    at = audio.index(b"data") + 4
    return audio[:at] + struct.pack("<I", size) + audio[at + 4 :]


def with_total(frames: int) -> bytes:
    """A FLAC whose header claims these frames."""
    fields = int.from_bytes(FLAC[18:26], "big") >> 36 << 36 | frames
    return FLAC[:18] + fields.to_bytes(8, "big") + FLAC[26:]


def with_field(audio: bytes, offset: int, form: str, value: int) -> bytes:
    """A WAV with a field of its fmt chunk replaced."""
    at = audio.index(b"fmt ") + 8 + offset
    return audio[:at] + struct.pack(form, value) + audio[at + struct.calcsize(form) :]


def scrambled(audio: bytes, seed: int = 0) -> bytes:
    """Two kilobytes of noise in the middle."""
    middle = len(audio) // 2
    junk = np.random.default_rng(seed).integers(0, 256, 2_000, dtype=np.uint8).tobytes()
    return audio[:middle] + junk + audio[middle + len(junk) :]


def with_samples(values: list[float], subtype: str = "FLOAT") -> bytes:
    """A WAV with these samples two seconds in."""
    sound = SOUND.astype(np.float64)
    sound[2 * RATE : 2 * RATE + len(values)] = values
    file = io.BytesIO()
    soundfile.write(file, sound, RATE, format="WAV", subtype=subtype)
    return file.getvalue()


NOT_AUDIO = {
    "one byte": b"R", "text": b"it was a dark and stormy night\n" * 99, "zeros": bytes(100_000),
    "random bytes": np.random.default_rng(3).integers(0, 256, 200_000, dtype=np.uint8).tobytes(),
    "an MP3's first two bytes": b"\xff\xfb" + bytes(5_000), "a PNG": b"\x89PNG\r\n\x1a\n" + bytes(5_000),
    "a web page": b"<!DOCTYPE html><html><body>403 Forbidden</body></html>", "a zip": b"PK\3\4" + zlib.compress(WAV),
    "a playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "a script of ffmpeg's": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
}  # fmt: skip
POISON = {
    "EmptyFile": {"zero bytes": b""},
    "NotAudio": NOT_AUDIO,
    "Truncated": {
        **{f"half of {name}": audio[: len(audio) // 2] for name, audio in WHOLE.items()},
        **{f"most of {name}": audio[: -len(audio) // 20] for name, audio in WHOLE.items()},
        "a WAV that claims a gigabyte": with_size(WAV, 1 << 30),
        "a FLAC that claims a minute": with_total(60 * RATE),
        "a WAV without audio": WAV[:40],
    },
    "Corrupt": {
        **{f"{name} damaged": scrambled(WHOLE[name]) for name in ("flac", "mp3", "ogg", "webm", "opus", "m4a", "aac")},
        "three gigahertz, a negative number to libsndfile": with_field(WAV, 4, "<I", 3_000_000_000),
        "WAV without channels": with_field(WAV, 2, "<H", 0),
        "FLAC with a header of zeros": FLAC[:8] + bytes(34) + FLAC[42:],
    },
    "TooLong": {"a FLAC that claims 2^36 samples": with_total(2**36 - 1)},
    "Unsupported": {
        "a gigahertz": with_field(WAV, 4, "<I", 1_000_000_000),
        "one hertz": with_field(WAV, 4, "<I", 1),
    },
    "NotFinite": {
        "a NaN": with_samples([np.nan]),
        "infinity": with_samples([np.inf]),
        "both infinities": with_samples([np.inf, -np.inf]),
        "more than a float holds": with_samples([1e300], "DOUBLE"),
    },
    "TooManyChannels": {"a hundred channels": encode(np.zeros((100, 100), np.float32))},
}
CASES = [(wanted, name) for wanted, poisons in POISON.items() for name in poisons]


@pytest.mark.parametrize(("wanted", "name"), CASES)
def test_bad_audio_is_one_failed_segment(wanted: str, name: str) -> None:
    (segment,) = hear(POISON[wanted][name])
    assert segment.failure is not None
    assert (segment.failure.kind, segment.failure.stage, segment.failure.status) == (wanted, "audio", FAILED)
    assert (segment.index, segment.last, len(segment.samples), segment.recording.audio) == (0, True, 0, None)
    assert segment.failure.message.startswith("it")


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_whole_is_not_taken_for_damaged(name: str) -> None:
    assert kind(hear(WHOLE[name])) is None


def test_half_a_file_says_what_was_promised_and_what_was_found() -> None:
    failure = hear(WAV[: 44 + RATE * 4])[-1].failure
    assert failure is not None
    assert "after 2.00 s of 5.00 s" in failure.message


@pytest.mark.parametrize("name", ["ogg", "opus"])
def test_an_ogg_cut_between_two_pages_is_told_by_its_last_page(name: str) -> None:
    audio = WHOLE[name]
    assert kind(hear(audio[: audio.rindex(b"OggS")])) == "Truncated"


def test_a_stretch_before_the_damage_is_heard() -> None:
    assert kind(hear(WAV[: len(WAV) // 2], begin=0.5, duration=1.5)) is None
    assert kind(hear(WAV[: len(WAV) // 2], begin=0.5, duration=3.0)) == "Truncated"


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0x7FFFF000, 2**31])
def test_a_wav_whose_length_was_left_open_is_read_to_its_end(size: int) -> None:
    (segment,) = hear(with_size(WAV, size))
    assert (segment.failure, segment.total) == (None, 5 * RATE)


def test_a_flac_whose_length_was_left_open_is_read_to_its_end() -> None:
    (segment,) = hear(with_total(0))
    assert (segment.failure, segment.total) == (None, 5 * RATE)


def test_notes_after_empty_audio_are_not_audio() -> None:
    empty = encode(SOUND[:0]) + b"LIST" + struct.pack("<I", 4) + b"INFO"
    (segment,) = hear(empty)
    assert (segment.failure, segment.total) == (None, 0)


def test_an_mp3_without_a_count_and_one_with_two_parts_are_read_to_their_ends() -> None:
    """By itself libsndfile guesses the length of the first from its first frame, and stops half-way."""
    uncounted = MP3[MP3.index(MP3[:2], 4) :]
    assert abs(hear(uncounted)[-1].total - 5 * RATE) < 0.2 * RATE
    assert abs(hear(MP3 + MP3)[-1].total - 10 * RATE) < 0.2 * RATE
    assert abs(hear(MP3 + b"TAG" + bytes(125))[-1].total - 5 * RATE) < 0.2 * RATE


def test_chained_ogg_streams_are_read_to_the_end_of_the_last() -> None:
    assert abs(hear(OGG + encode(noise(2.0, seed=1), form="OGG"))[-1].total - 7 * RATE) < 0.2 * RATE


@pytest.mark.parametrize("frames", [0, 1])
def test_next_to_nothing_is_not_a_failure(frames: int) -> None:
    for rate in (RATE, 48_000):
        (segment,) = hear(encode(SOUND[:frames], rate))
        assert (segment.failure, segment.last) == (None, True)
        assert segment.total == len(segment.samples) <= 1


@pytest.mark.parametrize(
    "stretch",
    [{"begin": 9.0}, {"begin": -1.0}, {"begin": float("nan")}, {"duration": 0.0}, {"duration": -3.0},
     {"duration": float("inf")}, {"begin": 1e300}],
)  # fmt: skip
def test_a_stretch_outside_the_recording_fails(stretch: dict[str, float]) -> None:
    for audio in (WAV, FLAC, MP3, M4A):
        assert kind(hear(audio, **stretch)) == "OutOfRange"


@pytest.mark.parametrize("channel", [-1, 1])
def test_a_channel_that_is_not_there_fails(channel: int) -> None:
    assert kind(hear(WAV, channel=channel)) == "NoSuchChannel"


def test_a_film_without_sound_fails() -> None:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    assert kind(hear(file.getvalue())) == "NoSound"


def test_a_bomb_is_stopped_at_the_cap() -> None:
    """An hour of silence in a few kilobytes."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", RATE, 1, format="FLAC") as sound:
        for _ in range(60):
            sound.write(np.zeros(60 * RATE, np.int16))
    bomb = file.getvalue()
    assert len(bomb) < 3_600 * RATE // 50
    streaming = bomb[:18] + (int.from_bytes(bomb[18:26], "big") >> 36 << 36).to_bytes(8, "big") + bomb[26:]
    for audio in (bomb, streaming):
        assert kind(hear(audio, AudioRules(most_seconds=1_800.0))) == "TooLong"
        assert kind(hear(audio, AudioRules(most_bytes=10_000_000))) == "TooLarge"
        assert kind(hear(audio, begin=3_590.0)) is None
        assert kind(hear(audio, AudioRules(most_bytes=10_000_000, cut="none"), begin=3_590.0, duration=1.0)) in (
            None, "TooLarge",
        )  # fmt: skip


def test_damage_late_in_a_long_recording_ends_each_of_its_channels() -> None:
    sound = np.stack([noise(80.0), noise(80.0, seed=1)], axis=1)
    sound[75 * RATE, 1] = np.nan
    heard = hear(encode(sound, subtype="FLOAT"), AudioRules(channels="each"))
    for channel in (0, 1):
        mine = [segment for segment in heard if segment.channel == channel]
        assert [segment.index for segment in mine] == list(range(len(mine)))
        assert kind(mine) == "NotFinite"
        assert len(mine) > 1


def test_neighbours_of_bad_audio_are_untouched() -> None:
    (alone,) = hear(WAV)
    for wanted, name in CASES:
        hear(POISON[wanted][name])
        (after,) = hear(WAV)
        np.testing.assert_array_equal(after.samples, alone.samples)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.integers(0, 400), st.binary(min_size=0, max_size=24), st.integers(4, 4_000))
def test_no_header_however_damaged_raises(name: str, at: int, junk: bytes, length: int) -> None:
    audio = WHOLE[name]
    damaged = audio[:at] + junk + audio[at + len(junk) :]
    for given_audio in (damaged[:length], damaged[: len(audio) // 3]):
        assert hear(given_audio)[-1].last


class Breaking(io.BytesIO):
    """A connection that is lost at a byte."""

    def read(self, count: int | None = -1, /) -> bytes:
        if self.tell() > len(self.getvalue()) // 2:
            raise StoreError(errors.UNREACHABLE, "the store does not answer")
        return super().read(count)


@pytest.mark.parametrize("name", ["wav", "flac", "mp3", "ogg", "m4a", "mp4", "webm", "opus", "aac"])
def test_a_lost_connection_is_not_a_short_recording(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders take an exception in their callback for the end of the file."""
    monkeypatch.setattr("pipeline.audio.reading.open_input", lambda *_: Breaking(WHOLE[name]))
    with pytest.raises(StoreError, match="does not answer"):
        list(segments(Recording("shard", 0, "it", "s3://b/it", Span("s3://b/it")), AudioRules()))


def test_audio_that_is_not_there_fails(tmp_path: Path) -> None:
    missing = Span(str(tmp_path / "gone.wav"))
    (segment,) = segments(Recording("shard", 0, "it", missing.uri, missing), AudioRules())
    assert segment.failure is not None
    assert segment.failure.kind == "NotFound"


@pytest.mark.parametrize("name", ["wav", "flac", "mp3", "ogg", "m4a", "webm"])
def test_a_span_is_heard_like_its_bytes(name: str, tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(b"before" + WHOLE[name] + b"after")
    span = Span(str(tmp_path / "box"), 6, 6 + len(WHOLE[name]))
    (streamed,) = segments(Recording("shard", 0, "it", span.uri, span), AudioRules())
    (held,) = hear(WHOLE[name])
    np.testing.assert_array_equal(streamed.samples, held.samples)
    assert streamed.failure is None
    assert tone(1, 1).dtype == streamed.samples.dtype
