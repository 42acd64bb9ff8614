"""A bucket of every form, with poison in it or without: what a corpus looks like that many people have added to."""

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import soundfile

from tests.faults.runs import DEMO
from tests.pipeline.corpora import jsonl, tarred

RATE = 16_000
SLOW = 2_000
"""Samples per second of what must not take long to make."""
FORMS = ("loose", "shards", "table", "manifest", "books")
"""The inputs, each in a folder of its own."""
Files = dict[str, bytes]


def whole() -> Files:
    """What can be read."""
    loose = {
        f"loose/{path.name}": path.read_bytes() for path in clips("loose", "flac-0[0-3]", "m4a-0[0-3]", "mp3-0[0-3]")
    }
    loose |= {f"loose/deep/{path.name}": path.read_bytes() for path in clips("loose", "wav-0[01]", "opus-0[0-3]")}
    spoken = {f"manifest/audio/{path.name}": path.read_bytes() for path in clips("manifest/audio", "000[0-5]")}
    books = {f"books/7/1/7-1-{n:04}.flac": path.read_bytes() for n, path in enumerate(clips("loose", "flac-1[0-2]"))}
    lines = b"".join(f"7-1-{n:04} WHAT WAS SAID\n".encode() for n in range(3))
    return {
        **loose,
        **spoken,
        **books,
        "books/7/1/7-1.trans.txt": lines,
        "manifest/manifest.jsonl": jsonl(list(lines_of("000"))),
        "shards/good.tar": (DEMO / "shards" / "harbour-000000.tar").read_bytes(),
        "table/train.parquet": (DEMO / "table" / "train-00000-of-00001.parquet").read_bytes(),
    }


def clips(folder: str, *patterns: str) -> Iterator[Path]:
    """Recordings of the demo."""
    for pattern in patterns:
        yield from sorted((DEMO / folder).glob(f"{pattern}.*"))


def lines_of(start: str) -> Iterator[Mapping[str, object]]:
    """Lines of the demo's manifest whose audio is named so."""
    for line in (DEMO / "manifest" / "manifest.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry["audio_filepath"].startswith(f"audio/{start}") and entry["audio_filepath"] < "audio/0006":
            yield entry


FLAC = (DEMO / "loose" / "flac-08.flac").read_bytes()
WAV = (DEMO / "loose" / "wav-03.wav").read_bytes()
OPUS = (DEMO / "loose" / "opus-06.opus").read_bytes()
M4A = (DEMO / "loose" / "m4a-00.m4a").read_bytes()


def claiming(frames: int) -> bytes:
    """A FLAC whose header promises so many."""
    fields = int.from_bytes(FLAC[18:26], "big") >> 36 << 36 | frames
    return FLAC[:18] + fields.to_bytes(8, "big") + FLAC[26:]


def damaged(audio: bytes) -> bytes:
    """With noise in the middle."""
    junk = np.random.default_rng(0).integers(0, 256, 2_000, dtype=np.uint8).tobytes()
    return audio[: len(audio) // 2] + junk + audio[len(audio) // 2 + len(junk) :]


def sound(samples: np.ndarray, subtype: str | None = None, form: str = "WAV") -> bytes:
    """A file of these samples."""
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=form, subtype=subtype)
    return file.getvalue()


def bomb() -> bytes:
    """Twenty-five hours of silence in a megabyte or two."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", SLOW, 1, format="FLAC") as silence:
        for _ in range(25):
            silence.write(np.zeros(3600 * SLOW, np.int16))
    return file.getvalue()


def holding(value: float) -> bytes:
    """A WAV with one sample that is no number."""
    samples = np.zeros(2 * RATE, np.float32)
    samples[RATE] = value
    return sound(samples, "FLOAT")


def without_channels() -> bytes:
    """A WAV whose header says that it has none."""
    at = WAV.index(b"fmt ") + 10
    return WAV[:at] + b"\0\0" + WAV[at + 2 :]


LOOSE: dict[str, tuple[bytes, str]] = {
    "zero-bytes.flac": (b"", "EmptyFile"),
    "wrong-extension.flac": (b"Dear reader, this is no audio.\n" * 40, "NotAudio"),
    "web-page.mp3": (b"<!DOCTYPE html><html><body>403 Forbidden</body></html>", "NotAudio"),
    "half.wav": (WAV[: len(WAV) // 2], "Truncated"),
    "half.opus": (OPUS[: len(OPUS) // 2], "Truncated"),
    "half.m4a": (M4A[: len(M4A) // 2], "Truncated"),
    "corrupt-middle.flac": (damaged(FLAC), "Corrupt"),
    "claims-2-to-the-36.flac": (claiming(2**36 - 1), "TooLong"),
    "bomb.flac": (bomb(), "TooLong"),
    "nan.wav": (holding(np.nan), "NotFinite"),
    "inf.wav": (holding(np.inf), "NotFinite"),
    "no-channels.wav": (without_channels(), "Corrupt"),
    "hundred-channels.wav": (sound(np.zeros((100, 100), np.float32)), "TooManyChannels"),
}
"""Files, and the class of error that each must become."""
LINES: dict[str, tuple[object, str]] = {
    "not json": (b"{audio_filepath: 1}", "NotJson"),
    "missing": ({"audio_filepath": "audio/missing.opus"}, "NotFound"),
    "above the root": ({"audio_filepath": "../loose/mp3-00.mp3"}, "OutsideRoot"),
    "a command": ({"audio_filepath": "touch ran |"}, "PipedCommand"),
    "denied": ({"audio_filepath": "audio/denied.opus"}, "Denied"),
}
"""Lines of a manifest, and the same."""
HARMLESS = ("loose/one-sample.wav", "loose/64-channels.wav", "loose/digital-silence.flac")
"""Odd, and no failure."""


def poison() -> Files:
    """What is added to the whole bucket. Twenty recordings fail of it: thirteen files, five lines and two tars."""
    files = {f"loose/poison-{name}": content for name, (content, _) in LOOSE.items()}
    good = list(lines_of("000"))
    lines = [*good[:2], *(line for line, _ in LINES.values()), *good[2:], good[0]]
    torn = tarred([(f"t{n}.mp3", path.read_bytes()) for n, path in enumerate(clips("loose", "mp3-0[4-7]"))])
    return {
        **files,
        "loose/one-sample.wav": sound(np.zeros(1, np.float32)),
        "loose/64-channels.wav": sound(np.random.default_rng(1).normal(0, 0.01, (RATE, 64)).astype(np.float32)),
        "loose/digital-silence.flac": sound(np.zeros(RATE, np.float32), form="FLAC"),
        "manifest/manifest.jsonl": jsonl(lines),
        "manifest/audio/denied.opus": OPUS,
        "shards/poison-empty.tar": b"",
        "shards/poison-torn.tar": torn[: len(torn) - 12_000],
        "shards/poison-names.tar": named_oddly(),
    }


def named_oddly() -> bytes:
    """A tar with a name that is not UTF-8, which is no poison."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        info = tarfile.TarInfo("not-utf8-\udcff.mp3")
        content = next(clips("loose", "mp3-08")).read_bytes()
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()
