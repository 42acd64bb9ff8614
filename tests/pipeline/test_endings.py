"""What is audio by its name: all that the decoders read, but for endings that others use; the rest is told."""

import io
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from pipeline.audio import AudioRules, segments
from pipeline.audio.decoders import DEMUXERS
from pipeline.inputs.rows import AUDIO
from pipeline.log import LOG, NOTICE
from tests.pipeline.corpora import clip, jsonl, kinds, read, tarred, written

LIBSNDFILE: dict[str, tuple[str, ...]] = {
    "AIFF": ("aif", "aiff", "aifc"),
    "AU": ("au", "snd"),
    "AVR": ("avr",),
    "CAF": ("caf",),
    "FLAC": ("flac",),
    "HTK": ("htk",),
    "IRCAM": ("sf",),
    "MAT4": ("mat",),
    "MAT5": ("mat",),
    "MP3": ("mp3",),
    "MPC2K": ("mpc", "snd"),
    "NIST": ("sph", "nist", "wav"),
    "OGG": ("ogg", "oga", "opus"),
    "PAF": ("paf",),
    "PVF": ("pvf",),
    "RAW": ("raw",),
    "RF64": ("rf64", "wav"),
    "SD2": ("sd2",),
    "SDS": ("sds",),
    "SVX": ("svx", "8svx", "iff"),
    "VOC": ("voc",),
    "W64": ("w64",),
    "WAV": ("wav", "wave", "bwf"),
    "WAVEX": ("wav",),
    "WVE": ("wve",),
    "XI": ("xi",),
}
FFMPEG: dict[str, tuple[str, ...]] = {
    "aiff": ("aif", "aiff"),
    "amr": ("amr", "awb"),
    "asf": ("asf", "wma", "wmv"),
    "au": ("au",),
    "caf": ("caf",),
    "mpegts": ("ts", "mts", "m2t", "m2ts"),
    "w64": ("w64",),
    "wav": ("wav",),
    "wv": ("wv",),
}
"""Of the demuxers that FFmpeg knows no endings of."""
NOT_TAKEN = {
    "apl": "a list of Monkey's Audio's",
    "avif": "pictures",
    "heic": "pictures",
    "heif": "pictures",
    "htk": "features, mostly",
    "iff": "pictures, mostly",
    "ism": "a list of films",
    "mac": "anything of a Macintosh",
    "mat": "matrices",
    "mks": "subtitles",
    "mpc": "Musepack, mostly, which is not decoded here",
    "mts": "source text, too",
    "psp": "pictures, mostly",
    "raw": "no header says at which rate",
    "sd2": "its header lies in a second file that only a Macintosh keeps",
    "ts": "source text, mostly",
}
"""Endings that a decoder would take, and why they are not looked for."""


def test_every_format_that_libsndfile_reads_is_known_by_its_endings_or_left_out_for_a_reason() -> None:
    assert set(soundfile.available_formats()) <= set(LIBSNDFILE)
    assert {ending for endings in LIBSNDFILE.values() for ending in endings} <= AUDIO | set(NOT_TAKEN)


@pytest.mark.parametrize("demuxer", DEMUXERS.split(","))
def test_every_format_that_ffmpeg_may_read_is_known_by_its_endings_or_left_out_for_a_reason(demuxer: str) -> None:
    endings = set(av.ContainerFormat(demuxer, "r").extensions) | set(FFMPEG.get(demuxer, ()))
    assert endings and endings <= AUDIO | set(NOT_TAKEN)


def test_nothing_is_left_out_that_is_taken() -> None:
    assert not AUDIO & set(NOT_TAKEN)


def written_as(form: str) -> bytes:
    """Half a second in a format of libsndfile's."""
    file, rate = io.BytesIO(), 44_100 if form == "XI" else 8_000
    soundfile.write(file, np.random.default_rng(0).normal(0, 0.1, rate // 2), rate, format=form)
    return file.getvalue()


@pytest.mark.parametrize("form", [form for form, endings in LIBSNDFILE.items() if AUDIO & set(endings)])
def test_what_is_taken_by_its_name_is_heard(tmp_path: Path, form: str) -> None:
    endings = [ending for ending in LIBSNDFILE[form] if ending in AUDIO]
    audio = written_as(form)
    files = {f"loose/a.{ending}": audio for ending in endings}
    found = read(written(tmp_path, files | {"t.tar": tarred([(f"a.{ending}", audio) for ending in endings])}))
    assert kinds(found[: len(endings)]) == [None] * len(endings) and len(found) == 2 * len(endings)
    heard = [segment for each in found for segment in segments(each, AudioRules())]
    assert [segment.failure for segment in heard] == [None] * len(found)
    assert all(abs(segment.total - 8_000) < 1_200 for segment in heard)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    LOG.addHandler(caplog.handler)
    caplog.set_level(NOTICE, LOG.name)
    yield caplog
    LOG.removeHandler(caplog.handler)


def test_files_that_are_passed_over_are_counted_by_their_endings_and_told_once(
    tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    files = {f"{n}.txt": b"" for n in range(12)} | {"a.WAV": clip(1), "t.tar": tarred([]), "README": b"", "b.raw": b""}
    folder = written(tmp_path / "talks", files | {"no. such ending": b"", "c.TXT": b""})
    for _ in range(2):
        assert len(read(folder)) == 1
    assert [record.getMessage() for record in said.records] == [
        f"{folder}: files passed over, as their names do not end like audio: 16 (13 .txt, 1 .raw, 2 named otherwise)"
    ]


def test_of_very_many_endings_the_most_frequent_are_told(
    tmp_path: Path, said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.inputs.folder.COUNTED", 10)
    files = {f"{n}.{n:03}": b"" for n in range(300)} | {f"{n}.000": b"" for n in range(1000, 1040)}
    files |= {f"z{n}.late": b"" for n in range(60)}  # there are ten others by then
    read(written(tmp_path, files | {"1-2-3.flac": clip(1), "1-2.trans.txt": b"1-2-3 SAID\n"}))
    (record,) = said.records
    assert record.getMessage().endswith(": 400 (41 .000, 1 .001, 1 .010, 1 .100, 1 .101, 355 named otherwise)")


def test_a_folder_without_anything_else_is_not_talked_about(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    written(tmp_path / "a", {"1.wav": clip(1)})
    written(tmp_path / "b", {"m.json": jsonl([{"audio_filepath": "1.wav"}]), "1.wav": clip(1)})
    read(tmp_path / "a", tmp_path / "b/m.json")
    assert not said.records
