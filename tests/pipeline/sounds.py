"""Sounds, and every way to encode them that the tests need."""

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import soundfile

from pipeline.audio import AudioRules, segments
from pipeline.schema import Recording, Samples, Segment

RATE = 16_000
CHUNK = 4_096


def tone(hertz: float, seconds: float, rate: int = RATE, loudness: float = 0.5) -> Samples:
    """A pure tone."""
    return (loudness * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def noise(seconds: float, rate: int = RATE, seed: int = 0, loudness: float = 0.1) -> Samples:
    """White noise, which compresses badly: damage in the middle of its file hits audio."""
    return (loudness * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


def encode(samples: Samples, rate: int = RATE, form: str = "WAV", subtype: str | None = None) -> bytes:
    """By libsndfile, in small pieces: long ones crash its OGG writer. Samples are (frames,) or (frames, channels)."""
    file = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(file, "w", rate, channels, format=form, subtype=subtype) as sound:
        for at in range(0, len(samples), CHUNK):
            sound.write(samples[at : at + CHUNK])
    return file.getvalue()


def encode_ffmpeg(samples: Samples, rate: int, form: str, codec: str, options: dict[str, str] | None = None) -> bytes:
    """By FFmpeg: what libsndfile cannot write. Through a file, which one option of MP4's opens a second time."""
    with TemporaryDirectory() as folder:
        write_ffmpeg(Path(folder, "sound"), samples, rate, form, codec, options or {})
        return Path(folder, "sound").read_bytes()


def write_ffmpeg(path: Path, samples: Samples, rate: int, form: str, codec: str, options: dict[str, str]) -> None:
    """One channel, as FFmpeg writes it."""
    with av.open(str(path), "w", format=form, options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        frames: list[av.AudioFrame | None] = []
        size = stream.codec_context.frame_size or 1_024
        for at in range(0, len(samples), size):
            frame = av.AudioFrame.from_ndarray(samples[None, at : at + size], "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            frames.append(frame)
        resampler = av.AudioResampler(stream.codec_context.format, "mono", rate, size)
        for given in [*frames, None]:
            for made in resampler.resample(given):
                container.mux(stream.encode(made))
        container.mux(stream.encode(None))


def recording(audio: bytes, **more: float) -> Recording:
    """The only one of its shard."""
    return Recording("shard", 0, "it", "memory://it", audio, **more)  # type: ignore[arg-type]


def hear(audio: bytes, rules: AudioRules | None = None, **more: float) -> list[Segment]:
    """Its segments."""
    return list(segments(recording(audio, **more), rules or AudioRules()))


def kind(heard: Sequence[Segment]) -> str | None:
    """Of the failure that the last segment has; none before it may have one."""
    assert heard[-1].last
    assert not any(segment.last or segment.failure for segment in heard[:-1])
    failure = heard[-1].failure
    return None if failure is None else failure.kind


def loudest(samples: Samples, rate: int = RATE) -> float:
    """The frequency of the strongest tone."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * rate / len(samples))
