"""Encoded audio to blocks of float samples, by libsndfile or by FFmpeg. No block is larger than a few megabytes."""

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt
import soundfile
from av.audio.frame import AudioFrame
from av.error import FFmpegError

from pipeline.audio import headers
from pipeline.audio.chunks import Layout
from pipeline.audio.rules import AudioError
from pipeline.audio.source import Source
from pipeline.schema import Samples

BLOCK = 1 << 16
"""Samples of all channels in a block: few enough to stay in the cache until they are resampled."""
UNKNOWN = 1 << 40
"""libsndfile's frame counts above this mean that the header gives none."""
DEMUXERS = "mov,matroska,webm,aac,ogg,mp3,flac,wav,w64,aiff,au,caf,amr,asf,ac3,eac3,ape,tta,wv,mpegts,flv,avi"
"""What FFmpeg may take a file for: playlists and scripts are left out, because they make it open other files."""
TIMED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "ogg", "flac", "wv", "tta", "ape")
"""Demuxers whose duration was read and not guessed from a bit rate."""
DELAY_SECONDS, DELAY_FRAMES = 0.1, 2304
"""What an encoder of MP3, AAC or Opus may count as audio though no decoder returns it: the more of these two."""
FFMPEG_FIRST = ("MP4", headers.MATROSKA, headers.AAC, headers.OPUS)
SD2 = re.compile(r"Error : bad (data|map|resource)")
EXACT = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC")


class DecoderError(Exception):
    """A decoder's own words."""


class Sound(Protocol):
    """Audio that is being decoded."""

    rate: int
    """Frames per second."""
    channels: int
    promised: int | None
    """Frames that the header speaks of."""
    tolerance: int
    """Frames that may be missing from those: an encoder's delay."""
    exact: bool
    """Whether it finds a frame without decoding what comes before."""

    def seek(self, frame: int) -> int:
        """Move towards `frame` where that is exact; say at which frame the next block begins."""
        ...

    def blocks(self) -> Iterator[Samples]:
        """What follows: (frames, channels)."""
        ...

    def close(self) -> None:
        """Let go of the decoder."""
        ...


def open_sound(source: Source, layout: Layout | None) -> Sound:
    """Open with the better suited library, or the other."""
    ffmpeg_first = layout is not None and (layout.streams or layout.name in FFMPEG_FIRST)
    reasons = []
    for library in (Ffmpeg, Libsndfile) if ffmpeg_first else (Libsndfile, Ffmpeg):
        source.rewind()
        try:
            return library(source)
        except DecoderError as error:
            source.check()
            reasons.append(str(error))
    if layout is None or layout.name in headers.WEAK:
        raise AudioError("NotAudio", f"its {source.size} bytes are no audio that can be read ({'; '.join(reasons)})")
    if layout.whole is False:
        raise AudioError("Truncated", f"it begins as {layout.name} and breaks off before anything can be heard")
    raise AudioError("Corrupt", f"it begins as {layout.name} and cannot be decoded ({'; '.join(reasons)})")


class _Straight(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """Reads straight on. By default soundfile seeks after each read, which libsndfile cannot do in damaged files."""

    def seekable(self) -> bool:
        return False


class Libsndfile:
    """WAV, FLAC, Ogg Vorbis, MP3, AIFF and two dozen more."""

    def __init__(self, source: Source) -> None:
        try:
            self._file = _Straight(source)
        except soundfile.LibsndfileError as error:
            raise DecoderError(_words(error)) from None
        self.rate, self.channels = int(self._file.samplerate), int(self._file.channels)
        self.promised = int(self._file.frames) if self._file.frames < UNKNOWN else None
        self.exact = self._file.format in EXACT and not self._file.subtype.startswith("MPEG")
        self.tolerance = 0 if self.exact else _delay(self.rate)
        self._position = 0

    def seek(self, frame: int) -> int:
        if not self.exact or self.promised is None:
            return 0
        try:
            self._position = int(self._file.seek(min(frame, self.promised)))
        except soundfile.LibsndfileError as error:
            raise DecoderError(_words(error)) from None
        return self._position

    def blocks(self) -> Iterator[Samples]:
        while len(block := self._block(max(1, BLOCK // self.channels))):
            self._position += len(block)
            yield block

    def _block(self, frames: int) -> Samples:
        """The next frames, none at the end: what follows the last one that was promised may be a tag, or padding."""
        left = (self.promised or 0) - self._position
        try:
            block: Samples = self._file.read(min(frames, left) if left > 0 else frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            if self.exact and self.promised and left <= 0:
                return np.zeros((0, self.channels), np.float32)
            raise DecoderError(_words(error)) from None
        return block

    def close(self) -> None:
        self._file.close()


class Ffmpeg:
    """M4A, MP4, AAC, WebM, Opus, and what libsndfile refuses."""

    exact = False

    def __init__(self, source: Source) -> None:
        self._size = source.size
        try:
            self._container = av.open(source, "r", options={"format_whitelist": DEMUXERS})
        except (FFmpegError, UnicodeDecodeError) as error:
            raise DecoderError(_words(error)) from None
        if not self._container.streams.audio:
            self.close()
            raise AudioError("NoSound", f"it is {self._container.format.long_name} without an audio track")
        self._stream = self._container.streams.audio[0]
        if self._stream.codec_context is None:
            self.close()  # type: ignore[unreachable]  # PyAV's types leave this case out
            raise DecoderError("FFmpeg: it has no decoder for the audio track")
        self._stream.codec_context.thread_count = 1
        self._frames = self._decoded()
        first = next(self._frames, None)  # a decoder knows its rate for sure only now
        self._frames = chain([first], self._frames) if first else iter(())
        self.rate = first.sample_rate if first else self._stream.rate or 0
        self.channels = first.layout.nb_channels if first else self._stream.channels
        self.promised = self._promised()
        self.tolerance = _delay(self.rate)

    def seek(self, frame: int) -> int:
        return 0

    def blocks(self) -> Iterator[Samples]:
        held: list[Samples] = []
        for frame in self._frames:
            if (frame.sample_rate, frame.layout.nb_channels) != (self.rate, self.channels):
                raise DecoderError("FFmpeg: its sample rate or its channels change on the way")
            held.append(_floats(frame))
            if sum(map(len, held)) * self.channels >= BLOCK:
                yield np.concatenate(held)
                held = []
        if held:
            yield np.concatenate(held)

    def close(self) -> None:
        self._container.close()

    def _decoded(self) -> Iterator[AudioFrame]:
        try:
            for packet in self._container.demux(self._stream):
                try:
                    yield from packet.decode()
                except FFmpegError:
                    if not self._passed_over(packet):
                        raise
        except FFmpegError as error:
            raise DecoderError(_words(error)) from None

    def _passed_over(self, packet: "av.Packet[av.AudioStream]") -> bool:
        """Whether it is no audio that could be damaged: a tag between two MP3s in one file, or zeros at its end."""
        content, last = bytes(packet), (packet.pos or 0) + packet.size >= self._size
        return content.startswith(b"ID3") or (last and not any(content))

    def _promised(self) -> int | None:
        if self._container.format.name not in TIMED:
            return None
        if self._stream.duration and self._stream.time_base:
            return int(self._stream.duration * self._stream.time_base * self.rate)
        if self._container.duration and len(self._container.streams) == 1:
            lasting = self._container.duration - (self._container.start_time or 0)  # it tells when the last frame ends
            return int(Fraction(lasting, av.time_base) * self.rate)
        return None


def _delay(rate: int) -> int:
    """In frames."""
    return max(round(rate * DELAY_SECONDS), DELAY_FRAMES)


def _floats(frame: AudioFrame) -> Samples:
    """A frame as (frames, channels) between -1 and 1."""
    values = _wide(frame) if frame.format.bytes == 8 and "s64" in frame.format.name else frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels)
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - np.float32(128)) / np.float32(128)
    if values.dtype.kind == "i":
        return values.astype(np.float32) / np.float32(2 ** (8 * values.dtype.itemsize - 1))
    return values.astype(np.float32)


def _wide(frame: AudioFrame) -> npt.NDArray[np.int64]:
    """Samples of 64 bits, which PyAV makes no array of, as it does others."""
    count = frame.samples * (1 if frame.format.is_planar else frame.layout.nb_channels)
    return np.stack([np.frombuffer(memoryview(plane), np.int64, count) for plane in frame.planes])


def _words(error: Exception) -> str:
    """A library's own; libsndfile takes what it does not know for the last form that it looks for."""
    if isinstance(error, soundfile.LibsndfileError):
        said = str(error.error_string)
        return f"libsndfile: {'Format not recognised.' if SD2.match(said) else said}"
    return f"FFmpeg: {getattr(error, 'strerror', None) or error}"
