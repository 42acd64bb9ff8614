"""Encoded audio becomes segments at the model's rate, and what is wrong with it becomes one failed segment."""

import numpy as np
import pytest

from pipeline.audio import AudioRules, segments
from pipeline.schema import SKIPPED, Failure, Recording, Samples
from tests.pipeline.sounds import RATE, encode, encode_ffmpeg, hear, kind, loudest, noise, recording, tone

WIDTHS = {"PCM_U8": 1e-2, "PCM_16": 1e-4, "PCM_24": 1e-6, "PCM_32": 1e-6, "FLOAT": 1e-7, "DOUBLE": 1e-7, "ULAW": 3e-2}
SNDFILE = {
    "wav": ("WAV", "PCM_16"), "flac": ("FLAC", "PCM_16"), "flac 24": ("FLAC", "PCM_24"), "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"), "mp3": ("MP3", None), "aiff": ("AIFF", "PCM_16"), "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"), "w64": ("W64", "PCM_16"), "rf64": ("RF64", "PCM_16"), "nist": ("NIST", "PCM_16"),
    "voc": ("VOC", "PCM_16"), "wavex": ("WAVEX", "PCM_24"), "adpcm": ("WAV", "MS_ADPCM"),
}  # fmt: skip
FFMPEG = {
    "m4a": (44_100, "ipod", "aac"), "mp4": (16_000, "mp4", "aac"), "aac": (16_000, "adts", "aac"),
    "webm": (48_000, "webm", "libopus"), "opus by ffmpeg": (48_000, "ogg", "libopus"),
    "mp3 by ffmpeg": (44_100, "mp3", "libmp3lame"), "mka": (16_000, "matroska", "flac"),
}  # fmt: skip


def encoded(name: str, samples_at: float = 5.0) -> bytes:
    """Noise of some seconds in the named format."""
    if name in SNDFILE:
        return encode(noise(samples_at), RATE, *SNDFILE[name])
    rate, form, codec = FFMPEG[name]
    return encode_ffmpeg(noise(samples_at, rate), rate, form, codec)


@pytest.mark.parametrize("subtype", WIDTHS)
def test_every_sample_width_of_a_wav_is_read(subtype: str) -> None:
    sound = tone(440, 1.0)
    (segment,) = hear(encode(sound, subtype=subtype))
    assert segment.samples.dtype == np.float32
    np.testing.assert_allclose(segment.samples, sound, atol=WIDTHS[subtype])


@pytest.mark.parametrize("name", [*SNDFILE, *FFMPEG])
def test_every_format_is_read_whole_and_in_time(name: str) -> None:
    rate, form, codec = FFMPEG.get(name, (RATE, "", ""))
    sound = np.concatenate([np.zeros(rate, np.float32), tone(440, 1.0, rate), np.zeros(rate, np.float32)])
    audio = encode_ffmpeg(sound, rate, form, codec) if name in FFMPEG else encode(sound, rate, *SNDFILE[name])
    (segment,) = hear(audio)
    assert (segment.start, segment.core, segment.last) == (0, (0, segment.total), True)
    assert abs(segment.total - 3 * RATE) <= 0.1 * RATE
    middle = segment.samples[RATE : 2 * RATE]
    assert abs(loudest(middle) - 440) <= 2
    energy = np.square(segment.samples).cumsum()
    halfway = int(np.searchsorted(energy, energy[-1] / 2))
    assert abs(halfway - 1.5 * RATE) <= 0.07 * RATE  # AAC without an edit list begins 1024 to 2112 frames late


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000])
def test_every_rate_keeps_its_pitch_and_its_length(rate: int) -> None:
    frames = rate * 2 + 17
    sound = tone(1_000, frames / rate, rate)
    (segment,) = hear(encode(sound, rate, "FLAC", "PCM_24"))
    assert abs(segment.total - len(sound) * RATE / rate) <= 0.5
    wanted = tone(1_000, 2.0)
    inside = slice(1_000, 31_000)
    np.testing.assert_allclose(segment.samples[inside], wanted[inside], atol=2e-4)


def test_what_lies_above_the_models_rate_does_not_fold_back() -> None:
    (segment,) = hear(encode(tone(11_000, 2.0, 48_000), 48_000, "WAV", "FLOAT"))
    assert float(np.abs(segment.samples[1_000:-1_000]).max()) < 1e-4


def test_a_name_says_nothing() -> None:
    liar = Recording("shard", 0, "song.wav", "s3://bucket/song.wav", encoded("webm"))
    (segment,) = segments(liar, AudioRules())
    assert segment.failure is None
    assert abs(segment.total - 5 * RATE) < 100


def test_a_segment_does_not_carry_the_encoded_audio() -> None:
    (segment,) = hear(encoded("wav"))
    assert segment.recording.audio is None
    assert segment.recording.recording_id == "it"


def three_channels() -> Samples:
    return np.stack([tone(hertz, 1.0) for hertz in (300, 500, 700)], axis=1)


def test_channels_are_averaged_unless_told_otherwise() -> None:
    (segment,) = hear(encode(three_channels(), subtype="FLOAT"))
    np.testing.assert_allclose(segment.samples, three_channels().mean(1), atol=1e-6)
    assert (segment.channel, segment.channels) == (None, 1)


def test_the_first_channel_alone() -> None:
    (segment,) = hear(encode(three_channels(), subtype="FLOAT"), AudioRules(channels="first"))
    np.testing.assert_array_equal(segment.samples, three_channels()[:, 0])
    assert (segment.channel, segment.channels) == (0, 1)


def test_each_channel_is_a_row_on_the_same_clock() -> None:
    heard = hear(encode(three_channels(), subtype="FLOAT"), AudioRules(channels="each"))
    assert [(s.channel, s.channels, s.index, s.last, s.core) for s in heard] == [
        (channel, 3, 0, True, (0, RATE)) for channel in range(3)
    ]
    for segment, sound in zip(heard, three_channels().T, strict=True):
        np.testing.assert_array_equal(segment.samples, sound)


@pytest.mark.parametrize("channels", ["mix", "first", "each"])
def test_a_channel_that_the_input_names_wins(channels: str) -> None:
    audio = encode(three_channels(), subtype="FLOAT")
    (segment,) = hear(audio, AudioRules(channels=channels), channel=2)  # type: ignore[arg-type]
    np.testing.assert_array_equal(segment.samples, three_channels()[:, 2])
    assert (segment.channel, segment.channels) == (2, 1)


def test_sixty_four_channels_are_fine_and_more_are_refused() -> None:
    sound = np.repeat(tone(300, 0.5)[:, None], 65, axis=1)
    assert kind(hear(encode(sound[:, :64]))) is None
    assert len(hear(encode(sound[:, :64]), AudioRules(channels="each"))) == 64
    assert kind(hear(encode(sound))) == "TooManyChannels"


@pytest.mark.parametrize("name", ["wav", "flac", "ogg", "mp3", "aiff", "opus", "m4a", "webm"])
def test_a_stretch_is_cut_out_to_the_sample(name: str) -> None:
    audio = encoded(name)
    (whole,) = hear(audio)
    (part,) = hear(audio, begin=1.25, duration=2.0)
    assert part.total == 2 * RATE
    assert (part.start, part.core) == (0, (0, part.total))
    inside = slice(500, -500)  # where a resampler has neighbours on both sides
    np.testing.assert_allclose(part.samples[inside], whole.samples[20_000:52_000][inside], atol=1e-6)


def test_a_stretch_lasts_as_long_as_there_is_audio() -> None:
    (part,) = hear(encoded("flac"), begin=4.0, duration=60.0)
    assert part.total == RATE


def test_a_recording_that_failed_before_stays_failed() -> None:
    failure = Failure("NotFound", "sources", "it is gone")
    (segment,) = segments(Recording("shard", 0, "it", "memory://it", None, failure=failure), AudioRules())
    assert (segment.failure, segment.last, segment.channels) == (failure, True, 1)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "MP3"])
@pytest.mark.parametrize("rate", [8_000, RATE])
def test_a_stretch_is_as_long_as_it_was_asked_for_however_much_is_decoded(form: str, rate: int) -> None:
    audio = encode(noise(80.0, rate), rate, form)
    for seconds in (25.1, 29.9):
        rules = AudioRules(skip_longer_seconds=30.0, most_seconds=30.0)
        (part,) = hear(audio, rules, begin=20.0, duration=seconds)
        assert part.failure is None and part.total == pytest.approx(seconds * RATE, abs=1)
    assert kind(hear(audio, AudioRules(skip_longer_seconds=30.0), begin=20.0, duration=30.1)) == "TooLong"


@pytest.mark.parametrize(("begin", "duration"), [(1e308, None), (1.0, 1e308), (float("nan"), 1.0), (-1.0, 1.0)])
def test_a_stretch_that_is_nowhere_is_refused(begin: float, duration: float | None) -> None:
    assert kind(hear(encode(noise(2.0)), begin=begin, duration=duration)) == "OutOfRange"  # type: ignore[arg-type]


def test_a_skipping_rule_is_not_a_failure() -> None:
    long, short = AudioRules(skip_longer_seconds=4.0), AudioRules(skip_shorter_seconds=6.0)
    for rules in (long, short):
        failure = hear(encoded("wav"), rules)[-1].failure
        assert failure is not None
        assert failure.status == SKIPPED
    assert kind(hear(encoded("wav"), AudioRules(skip_longer_seconds=5.0, skip_shorter_seconds=5.0))) is None


def test_rules_that_cannot_be_are_refused_together() -> None:
    with pytest.raises(ValueError, match=r"(?s)channels is 'left'.*longest_seconds is 3.*context_seconds is -1"):
        AudioRules(channels="left", longest_seconds=3.0, context_seconds=-1.0)  # type: ignore[arg-type]


def test_a_time_limit_grows_with_the_encoded_size() -> None:
    rules = AudioRules()
    assert rules.seconds_limit(recording(b"")) == rules.patience_seconds
    assert rules.seconds_limit(recording(bytes(2_000_000))) == rules.patience_seconds + 60
