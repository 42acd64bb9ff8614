"""A storage that goes away in the middle of a file: nothing that was read till then passes for the whole of it."""

import errno
import gzip
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.apart import Decoder
from pipeline.audio import AudioRules, segments
from pipeline.inputs.found import PlanError
from pipeline.log import LOG, NOTICE
from pipeline.plan import plan
from pipeline.schema import Recording, Span
from pipeline.sources import recordings
from pipeline.storage import Store
from pipeline.stores.disk import Disk
from pipeline.stores.errors import StoreError
from pipeline.stores.other import Other
from pipeline.stores.place import Part
from tests.faults.runs import MEDDLING, ROOT
from tests.pipeline.corpora import clip, jsonl, kinds, read, shar, tarred, written
from tests.pipeline.sounds import RATE, encode, encode_ffmpeg, noise

WINDOW = 512
"""Bytes that are read at once, so that a small file is read in several steps."""


@dataclass
class Corpus:
    """Files, of one of which the storage gives no more than the first bytes once it is told so."""

    root: str
    lost: str = "\0"
    first: int = 0
    kind: str = "Unreachable"

    def put(self, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            Store(self.root).put(name, content)

    def lose(self, name: str, first: int) -> None:
        self.lost, self.first = name, first

    def away(self, path: str, begin: int) -> bool:
        return path.endswith(self.lost) and begin >= self.first


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """In a store."""
    corpus, part = Corpus(f"memory://{uuid4().hex}"), Other.part

    def give(self: Other, path: str, begin: int, end: int | None, version: str | None) -> Part:
        if corpus.away(path, begin):
            raise StoreError(corpus.kind, f"{path}: no answer (tried 7 times)")
        return part(self, path, begin, end, version)

    monkeypatch.setattr(Other, "part", give)
    monkeypatch.setattr("pipeline.stores.stream.FIRST_WINDOW", WINDOW)
    monkeypatch.setattr("pipeline.stores.stream.LARGEST_WINDOW", WINDOW)
    return corpus


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """On a disk, whose errors are the operating system's."""
    corpus = Corpus(str(tmp_path / "corpus"))

    class File(io.FileIO):
        def readinto(self, buffer: memoryview, /) -> int | None:  # type: ignore[override]
            if corpus.away(str(self.name), self.tell()):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().readinto(buffer)

    monkeypatch.setattr(Disk, "open", lambda _, path: io.BufferedReader(File(path), WINDOW))
    return corpus


@pytest.fixture(params=["stored", "mounted"])
def corpus(request: pytest.FixtureRequest) -> Corpus:
    found: Corpus = request.getfixturevalue(request.param)
    return found


NEMO = jsonl([{"audio_filepath": f"{n}.wav", "text": "said"} for n in range(200)])
SCP = "".join(f"call-{n} {n}.wav\n" for n in range(200)).encode()
SPOKEN = "".join(f"1-2-{n} SAID\n" for n in range(200)).encode()
MANIFESTS: dict[str, tuple[dict[str, bytes], str, int]] = {
    "nemo": ({"manifest.json": NEMO}, "manifest.json", 200),
    "nemo, compressed": ({"manifest.json": gzip.compress(NEMO, 0)}, "manifest.json", 200),
    "kaldi": ({"wav.scp": SCP}, "wav.scp", 200),
    "kaldi's texts": ({"wav.scp": SCP, "text": SCP}, "text", 200),
    "kaldi's recordings": ({"wav.scp": SCP, "segments": b"u1 call-199 0 1\n"}, "wav.scp", 1),
    "common voice": ({"train.tsv": b"path\tsentence\n" + b"1.mp3\tsaid\n" * 200}, "train.tsv", 200),
    "librispeech": ({"1-2-0.flac": b"", "1-2.trans.txt": SPOKEN}, "1-2.trans.txt", 1),
}
"""Inputs that are read line by line, the file of them that is lost in the middle, and how many recordings they name."""


@pytest.mark.parametrize("form", MANIFESTS)
def test_a_plan_is_not_made_of_the_first_half_of_a_manifest(corpus: Corpus, form: str) -> None:
    files, name, count = MANIFESTS[form]
    corpus.put(files)
    assert [shard.num_rows for shard in plan([corpus.root])] == [count]
    corpus.lose(name, 1024)
    with pytest.raises((StoreError, PlanError), match=r"was read to line \d+ and no further: .*(answer|error)"):
        list(plan([corpus.root]))


def test_a_manifest_that_ends_too_early_for_good_is_a_failed_row(stored: Corpus) -> None:
    stored.put({"manifest.json": NEMO})
    stored.lose("manifest.json", 1024)
    stored.kind = "Truncated"
    (shard,) = plan([stored.root])
    errors = [error and error["class"] for error in shard["error"].to_pylist()]
    assert 10 < len(errors) < 100 and errors == [None] * (len(errors) - 1) + ["Truncated"]


def parquet(rows: int) -> bytes:
    """A table in row groups of one."""
    file = io.BytesIO()
    pq.write_table(pa.table({"audio": [clip(n) for n in range(rows)]}), file, row_group_size=1, compression="none")
    return file.getvalue()


MEMBERS = [(f"{n}.wav", clip(n)) for n in range(6)]
LINES = jsonl([{"audio_filepath": name, "shard_id": 0} for name, _ in MEMBERS])
SHAR = shar([{"id": str(n)} for n in range(6)], [(str(n), clip(n)) for n in range(6)])
CUTS = gzip.compress(jsonl([{"id": str(n), "salt": os.urandom(200).hex()} for n in range(6)]))
CONTAINERS: dict[str, tuple[dict[str, bytes], str, int]] = {
    "webdataset": ({"t.tar": tarred(MEMBERS)}, "t.tar", 6000),
    "nemo-tar": ({"tarred_audio_manifest.json": LINES, "audio_0.tar": tarred(MEMBERS)}, "audio_0.tar", 6000),
    "shar, its tar": (SHAR, "recording.000000.tar", 6000),
    "shar, its cuts": (SHAR | {"cuts.000000.jsonl.gz": CUTS}, "cuts.000000.jsonl.gz", WINDOW),
    "parquet, its footer": ({"t.parquet": parquet(6)}, "t.parquet", 6000),
}
"""Files with six recordings each, and from which byte on one of them is lost."""


@pytest.mark.parametrize("form", CONTAINERS)
def test_a_container_that_is_lost_in_the_middle_is_an_outage_and_no_shorter_one(corpus: Corpus, form: str) -> None:
    files, name, first = CONTAINERS[form]
    corpus.put(files)
    (shard,) = plan([corpus.root])
    assert kinds(list(recordings(shard))) == [None] * 6
    corpus.lose(name, first)
    with pytest.raises(StoreError) as raised:
        list(recordings(shard))
    assert not raised.value.lasting


def test_a_parquet_that_is_lost_between_its_row_groups_is_an_outage(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sources.parquet.BUFFER", WINDOW)
    monkeypatch.setattr("pipeline.sources.parquet.ROWS", 1)
    corpus.put({"t.parquet": parquet(300)})
    (shard,) = plan([corpus.root])
    found: list[Recording] = []

    def losing() -> Iterator[Recording]:
        for each in recordings(shard):
            corpus.lose("t.parquet", 0)
            yield each

    with pytest.raises(StoreError) as raised:
        found.extend(losing())
    assert not raised.value.lasting and 0 < len(found) < 300


def streamed(uri: str) -> Recording:
    return Recording("shard", 0, "long", uri, Span(uri))


@pytest.mark.parametrize("form", ["wav", "flac", "m4a"])
@pytest.mark.parametrize("first", [1, 20_000])
def test_audio_that_is_lost_while_it_is_streamed_is_an_outage(corpus: Corpus, form: str, first: int) -> None:
    sound, name = noise(5.0), f"long.{form}"
    known = {
        "wav": encode(sound),
        "flac": encode(sound, RATE, "FLAC"),
        "m4a": encode_ffmpeg(sound, RATE, "ipod", "aac"),
    }
    corpus.put({name: known[form]})
    recording = streamed(f"{corpus.root}/{name}")
    assert [each.failure for each in segments(recording, AudioRules())] == [None]
    corpus.lose(name, first)
    with pytest.raises(StoreError) as raised:
        list(segments(recording, AudioRules()))
    assert not raised.value.lasting and name in str(raised.value)


def test_it_is_one_in_a_decoder_of_its_own_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, {"scratched.wav": encode(noise(5.0)), "fine.wav": encode(noise(5.0))})
    monkeypatch.setenv("PYTHONPATH", f"{MEDDLING}{os.pathsep}{ROOT}")
    monkeypatch.setenv("MEDDLE", "disk fails")
    decoder = Decoder(AudioRules())
    try:
        with pytest.raises(StoreError, match=r"scratched\.wav: Input/output error"):
            list(decoder.segments(streamed(f"{tmp_path}/scratched.wav")))
        assert [each.failure for each in decoder.segments(streamed(f"{tmp_path}/fine.wav"))] == [None]
    finally:
        decoder.close()


def test_lines_about_recordings_that_cannot_be_read_are_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {"wav.scp": b"a 1.wav\nb 1.wav\n", "text": b"a fine\nb \xff\nc \xff\n", "1.wav": clip(1)}
    LOG.addHandler(caplog.handler)
    caplog.set_level(NOTICE, LOG.name)
    try:
        found = [read(written(tmp_path, files)) for _ in range(2)][1]
    finally:
        LOG.removeHandler(caplog.handler)
    assert [each.reference for each in found] == ["fine", None]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"{tmp_path}/text: lines that cannot be read and are passed over: 2 (line 2 is not UTF-8")
