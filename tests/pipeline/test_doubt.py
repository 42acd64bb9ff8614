"""A recording is blamed for what is its own fault: not for a disk that is gone, and not never."""

import errno
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.cli import main
from jobs.exits import FAILED_ROWS, FINE, UNFINISHED
from pipeline.doubt import gives_another, gone, roots
from pipeline.plan import plan
from pipeline.schema import WITHHELD
from pipeline.sources import tried, webdataset
from pipeline.stores.disk import Disk, words
from pipeline.stores.place import Part
from tests.faults.runs import MEDDLING, MODEL, ROOT, engineless, failures, rows, spoken
from tests.pipeline.corpora import clip, tarred, written

COUNT, SHARD = 6, 3
Read = Callable[[str], None]
"""Something that happens when a file is read."""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return spoken(tmp_path / "disk" / "corpus", COUNT)


@pytest.fixture
def meddled(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Read]]:
    """What happens before each part of a recording is read."""
    happens: list[Read] = []
    part = Disk.part

    def troubled(self: Disk, path: str, begin: int, end: int | None, version: str | None) -> Part:
        for each in happens if path.startswith(str(corpus)) else ():
            with words(path):
                each(path)
        return part(self, path, begin, end, version)

    monkeypatch.setattr(Disk, "part", troubled)
    with engineless():
        yield happens


def run(corpus: Path, output: Path) -> int:
    command = ["transcribe", str(corpus), "-o", str(output), "-m", str(MODEL), "--shard-size", str(SHARD)]
    return main(command)


def breaks(*names: str) -> Read:
    """Sectors under these files are bad."""

    def read(path: str) -> None:
        if any(name in path for name in names):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    return read


@pytest.mark.parametrize("names", [("001",), ("000", "005"), ("003", "004")])
def test_an_object_that_is_odd_for_ever_is_a_failed_row_and_its_neighbours_are_read(
    names: tuple[str, ...], corpus: Path, meddled: list[Read], tmp_path: Path
) -> None:
    meddled.append(breaks(*names))
    assert run(corpus, tmp_path / "out") == FAILED_ROWS
    found = rows(tmp_path / "out")
    assert {name[:3]: kind for name, kind in failures(found).items()} == dict.fromkeys(names, "StoreFailed")
    assert len(found) == COUNT
    said = next(row["error"] for row in found if row["error"])
    assert "Input/output error" in said["message"]  # type: ignore[index]


@pytest.fixture
def scratched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Files so named can be opened and not read on, here and in decoders of their own; each time here is noted."""
    met: list[str] = []

    class File(io.FileIO):
        def readinto(self, buffer: memoryview, /) -> int | None:  # type: ignore[override]
            name = str(self.name)
            if self.tell() and "scratched" in name and not ("once" in name and met):
                met.append(name)
                breaks(name)(name)
            return super().readinto(buffer)

    monkeypatch.setattr(Disk, "open", lambda _, path: io.BufferedReader(File(path)))
    monkeypatch.setenv("PYTHONPATH", f"{MEDDLING}{os.pathsep}{ROOT}")
    monkeypatch.setenv("MEDDLE", "disk fails")
    with engineless():
        yield met


@pytest.mark.usefixtures("scratched")
def test_so_is_a_large_one_that_is_read_while_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = spoken(tmp_path / "corpus", COUNT, {1: "-scratched"})
    monkeypatch.setattr("pipeline.sources.fetch.LARGE", 1000)
    assert run(corpus, tmp_path / "out") == FAILED_ROWS
    found = rows(tmp_path / "out")
    assert failures(found) == {"001-scratched.m4a": "StoreFailed"} and len(found) == COUNT


@pytest.mark.parametrize(("name", "code"), [("a-scratched", FAILED_ROWS), ("a-scratched-once", FINE)])
def test_a_container_is_read_on_if_it_can_be_and_a_row_stands_for_the_rest_if_not(
    name: str, code: int, corpus: Path, scratched: list[str], tmp_path: Path
) -> None:
    clips = [(path.name, path.read_bytes()) for path in sorted(corpus.iterdir())]
    boxes = written(tmp_path / "boxes", {f"{name}.tar": tarred(clips), "b.tar": tarred(clips)})
    assert run(boxes, tmp_path / "out") == code
    found = rows(tmp_path / "out")
    assert scratched
    assert list(failures(found).values()) == ["StoreFailed"] * (code != FINE)
    assert len(found) == COUNT + (COUNT if code == FINE else 1)


def test_one_that_is_odd_for_a_while_is_read_later(corpus: Path, meddled: list[Read], tmp_path: Path) -> None:
    left = [2]

    def read(path: str) -> None:
        if "001" in path and left[0]:
            left[0] -= 1
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    meddled.append(read)
    assert run(corpus, tmp_path / "out") == FINE


def test_a_disk_of_which_nothing_can_be_read_is_an_outage(corpus: Path, meddled: list[Read], tmp_path: Path) -> None:
    meddled.append(breaks(str(corpus)))
    assert run(corpus, tmp_path / "out") == UNFINISHED
    assert rows(tmp_path / "out") == []
    meddled.clear()
    assert run(corpus, tmp_path / "out") == FINE


@pytest.mark.parametrize("mounted", ["corpus", "disk"])
def test_a_disk_that_is_unmounted_in_the_middle_is_an_outage(
    mounted: str, corpus: Path, meddled: list[Read], tmp_path: Path
) -> None:
    place, away = (corpus if mounted == "corpus" else corpus.parent), tmp_path / "away"

    def unmount(path: str) -> None:
        if "004" in path and not away.exists():
            place.rename(away)
            place.mkdir()

    meddled.append(unmount)
    assert run(corpus, tmp_path / "out") == UNFINISHED
    assert run(corpus, tmp_path / "out") == UNFINISHED, "it still is"
    assert failures(rows(tmp_path / "out")) == {}
    place.rmdir()
    away.rename(place)
    meddled.clear()
    assert run(corpus, tmp_path / "out") == FINE


def test_a_file_that_is_gone_from_its_folder_is_a_failed_row(corpus: Path, meddled: list[Read], tmp_path: Path) -> None:
    meddled.append(lambda path: Path(path).unlink(missing_ok=True) if "004" in path else None)
    assert run(corpus, tmp_path / "out") == FAILED_ROWS
    assert list(failures(rows(tmp_path / "out")).values()) == ["NotFound"]


def test_the_folders_of_an_input_are_its_own_and_the_one_that_it_lies_in(tmp_path: Path) -> None:
    known = roots(["s3://b/corpus", str(tmp_path / "m.jsonl"), f"{tmp_path}/deep/*/x*.wav"])
    assert known == (
        "s3://b/corpus",
        f"{tmp_path}/m.jsonl",
        f"{tmp_path}/deep",
        "s3://b",
        str(tmp_path),
    )
    assert gone(f"{tmp_path}/1.wav", known) == str(tmp_path)
    written(tmp_path, {"2.wav": b""})
    assert gone(f"{tmp_path}/1.wav", known) is None
    assert gone(f"{tmp_path}/deep/1/x.wav", known) == f"{tmp_path}/deep"
    assert gone("/elsewhere/1.wav", known) is None
    assert gone("memory://corpus/1.wav", roots(["memory://corpus"])) is None


@pytest.mark.parametrize("pattern", ["day?/1.wav", "day[12]/*.wav", "day{1..2}/1.wav"])
def test_the_folder_before_a_pattern_of_any_kind_is_known(pattern: str, tmp_path: Path) -> None:
    known = roots([f"{tmp_path}/disk/{pattern}", "s3://{1..2}/x"])
    written(tmp_path, {"2.wav": b"", "disk/x": b""})
    assert gone(f"{tmp_path}/disk/day1/1.wav", known) is None
    (tmp_path / "disk/x").unlink()
    assert gone(f"{tmp_path}/disk/day1/1.wav", known) == f"{tmp_path}/disk"


def test_a_folder_that_is_spelt_like_a_pattern_is_known(tmp_path: Path) -> None:
    written(tmp_path, {"x[1]/2.wav": b"", "y": b""})
    known = roots([f"{tmp_path}/x[1]"])
    (tmp_path / "x[1]/2.wav").unlink()
    assert gone(f"{tmp_path}/x[1]/1.wav", known) == f"{tmp_path}/x[1]"


def test_a_bucket_that_is_gone_is_known_by_name(moto_s3: str) -> None:
    assert gone(f"{moto_s3}/never.wav", ()) is None
    assert gone("s3://such-a-bucket-is-nowhere/never.wav", ()) == "bucket such-a-bucket-is-nowhere"


def test_another_object_is_one_below_the_same_roots(tmp_path: Path) -> None:
    written(tmp_path, {"a/1.wav": b"1", "a/empty.wav": b"", "b/1.wav": b"1"})
    planned = [f"{tmp_path}/{name}" for name in ("a/1.wav", "a/empty.wav", "b/1.wav", "b/2.wav")]
    known = roots([f"{tmp_path}/a", f"{tmp_path}/b"])
    assert gives_another(planned[0], planned, known), "an empty file is given, too"
    assert gives_another(planned[3], planned, known)
    assert not gives_another(planned[2], planned, known), "there is none beside it"
    assert gives_another(planned[2], planned, ())
    assert not gives_another(f"{planned[0]}#member", planned[:1], ())


def test_of_a_container_that_cannot_be_read_on_no_half_sample_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [
        (f"{n}.{ending}", clip(n) if ending == "wav" else b"said") for n in range(4) for ending in ("wav", "txt")
    ]
    written(tmp_path, {"t.tar": tarred(members)})
    (shard,) = plan([str(tmp_path)])
    whole = [each.reference for each in tried(shard)]
    assert whole == ["said"] * 4
    content, given = webdataset.content, [0]

    def lost(*told: object) -> object:
        given[0] += 1
        if given[0] == 6:  # the text of the third
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return content(*told)  # type: ignore[arg-type]

    monkeypatch.setattr(webdataset, "content", lost)
    *found, last = tried(shard)
    assert [each.reference for each in found] == ["said"] * 2
    assert last.ordinal == 2 and last.failure is not None
    assert (last.failure.status, last.failure.kind) == (WITHHELD, "StoreFailed")
