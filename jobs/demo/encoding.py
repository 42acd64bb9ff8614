"""Samples to the files that people have: flac, wav, mp3, ogg, opus and m4a, small ones."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt
import soundfile
from av import AudioFrame, AudioResampler
from av.audio.stream import AudioStream

Samples = npt.NDArray[np.float32]
"""(samples,) or (samples, channels), 1 is full scale."""

MP3_LEVEL = 0.85
"""0 is libsndfile's best quality, 1 its smallest file."""


@dataclass(frozen=True)
class Codec:
    """What FFmpeg is asked for."""

    name: str
    container: str
    sample_rate: int
    bits_per_second: int


CODECS: Mapping[str, Codec] = {
    "opus": Codec("libopus", "ogg", 48_000, 20_000),
    "m4a": Codec("aac", "ipod", 16_000, 28_000),
}


def encoded(samples: Samples, sample_rate: int, form: str) -> bytes:
    """A whole file."""
    return (
        _by_ffmpeg(samples, sample_rate, CODECS[form]) if form in CODECS else _by_libsndfile(samples, sample_rate, form)
    )


def _by_libsndfile(samples: Samples, sample_rate: int, form: str) -> bytes:
    file = io.BytesIO()
    if form == "mp3":
        soundfile.write(file, samples, sample_rate, format="MP3", bitrate_mode="CONSTANT", compression_level=MP3_LEVEL)
    else:
        soundfile.write(file, samples, sample_rate, format=form.upper())
    return file.getvalue()


def _by_ffmpeg(samples: Samples, sample_rate: int, codec: Codec) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=codec.container) as container:
        stream = container.add_stream(codec.name, rate=codec.sample_rate, layout="mono")
        assert isinstance(stream, AudioStream)
        stream.bit_rate = codec.bits_per_second
        frame = AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = sample_rate
        resampler = AudioResampler(stream.format, "mono", codec.sample_rate, frame_size=stream.codec_context.frame_size)
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return file.getvalue()
