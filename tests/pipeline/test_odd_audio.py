"""Audio that is whole though its file is odd, and that is not though its decoder does not say so."""

import io
import struct
from collections.abc import Mapping

import av
import numpy as np
import pytest
import soundfile

from tests.pipeline.sounds import RATE, encode, encode_ffmpeg, hear, kind, noise

SECONDS = 5.0
SOUND = noise(SECONDS)
PCM = (SOUND * 32767).astype("<i2").tobytes()
FMT = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
TAG = b"TAG" + b"A title".ljust(125, b"\0")
ID3 = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)


def mp3(rate: int, form: str = "mp3", **options: str) -> bytes:
    """As FFmpeg packs it."""
    return encode_ffmpeg(noise(SECONDS, rate), rate, form, "libmp3lame", options)


def late() -> bytes:
    """Matroska that begins two seconds late."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("flac", rate=RATE)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        for at in range(0, len(SOUND), 4_000):
            frame = av.AudioFrame.from_ndarray(np.int16(SOUND[None, at : at + 4_000] * 32_767), "s16", "mono")
            frame.sample_rate, frame.pts = RATE, at + 2 * RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def rf64(counted: int) -> bytes:
    """With so many bytes of audio by its header."""
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, 0, counted, 0, 0)
    data = b"fmt " + struct.pack("<I", 16) + FMT + b"data" + struct.pack("<I", 0xFFFFFFFF) + PCM
    return b"RF64" + struct.pack("<I", 0xFFFFFFFF) + b"WAVE" + ds64 + data


def uncounted_au() -> bytes:
    """Whose writer never came to count."""
    audio = encode(SOUND, form="AU")
    return audio[:8] + bytes(4) + audio[12:]


FLAC, WAVPACK, TTA = (encode_ffmpeg(SOUND, RATE, *each) for each in (("flac",) * 2, ("wv", "wavpack"), ("tta", "tta")))
AVI, ASF = mp3(44_100, "avi"), encode_ffmpeg(SOUND, RATE, "asf", "aac")
WHOLE: Mapping[str, bytes] = {
    **{
        f"MP3 of {rate} Hz in {form}": mp3(rate, form)
        for form in ("wav", "matroska")
        for rate in (8_000, 16_000, 44_100)
    },
    **{f"{name} behind FLAC": FLAC + tail for name, tail in {"a tag": TAG, "padding": bytes(4_000)}.items()},
    **{
        f"{name} behind MP3 of {rate} Hz": mp3(rate) + tail
        for rate in (16_000, 44_100)
        for name, tail in {"padding": bytes(4_000), "a new tag": ID3, "text": b"--boundary--\r\n" * 99}.items()
    },
    "padding behind MP3 without a count": mp3(16_000, write_xing="0") + bytes(4_000),
    "samples of 64 bits": encode_ffmpeg(SOUND, RATE, "wav", "pcm_s64le"),
    "it begins two seconds late": late(),
    "RF64": rf64(len(PCM)),
    "WavPack": WAVPACK,
    "TTA": TTA,
    "AVI": AVI,
    "ASF": ASF,
}
CUT: Mapping[str, bytes] = {
    **{f"half of {name}": WHOLE[name][: len(WHOLE[name]) // 2] for name in ("WavPack", "AVI", "ASF", "RF64")},
    "half of MP3 in a WAV": mp3(16_000, "wav")[:6_000],
    "half of FLAC": FLAC[: len(FLAC) // 2],
    "half of what begins late": late()[: len(late()) // 2],
    "zeros in the middle of MP3": mp3(16_000)[:6_000] + bytes(4_000) + mp3(16_000)[10_000:],
    "RF64 that was never counted": rf64(0),
    "AU that was never counted": uncounted_au(),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_whole_is_read_to_its_end(name: str) -> None:
    heard = hear(WHOLE[name])
    assert kind(heard) is None
    assert abs(heard[-1].total - SECONDS * RATE) < 0.3 * RATE


@pytest.mark.parametrize("name", CUT)
def test_what_is_cut_is_not_taken_for_whole(name: str) -> None:
    assert kind(hear(CUT[name])) in ("Truncated", "Corrupt")


def test_samples_of_64_bits_are_as_loud_as_others() -> None:
    (segment,) = hear(WHOLE["samples of 64 bits"])
    np.testing.assert_allclose(segment.samples, SOUND, atol=1e-4)


def test_two_mp3s_in_one_file_are_read_although_a_tag_stands_between() -> None:
    assert abs(hear(mp3(16_000) + mp3(16_000))[-1].total - 2 * SECONDS * RATE) < 0.3 * RATE


def test_a_form_that_no_decoder_knows_is_told_as_that() -> None:
    failure = hear(b"it was a dark and stormy night\n" * 50)[-1].failure
    assert failure is not None
    assert "Format not recognised" in failure.message and "bad data offset" not in failure.message
    with pytest.raises(soundfile.LibsndfileError, match="bad"):
        soundfile.SoundFile(io.BytesIO(b"it was a dark and stormy night\n" * 50))
