"""Loose objects: many reads at once, in order, in bounded memory; from disks and from a store."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.ahead import in_order
from pipeline.inputs.found import PlanRules
from pipeline.plan import plan
from pipeline.schema import Recording, Span
from pipeline.sources import fetch, recordings
from pipeline.storage import Store
from pipeline.stores import s3, s3_quick
from pipeline.stores.disk import Disk
from pipeline.stores.errors import StoreError
from pipeline.stores.place import Part
from tests.pipeline.corpora import by_id, clip, jsonl, kinds, read, shar, tarred, written


def test_results_keep_the_order_of_their_items_however_long_each_takes() -> None:
    done = in_order(lambda n: time.sleep(0.002 * (n % 5)) or n, range(100), weight=lambda _: 1, budget=50, threads=16)
    assert list(done) == list(range(100))


def test_what_is_read_ahead_stays_within_the_budget() -> None:
    under_way, most, lock = [0], [0], threading.Lock()

    def work(size: int) -> int:
        with lock:
            under_way[0] += size
            most[0] = max(most[0], under_way[0])
        return size

    for size in in_order(work, [3, 50, 4, 4, 4, 12] * 50, weight=lambda size: size, budget=20):
        with lock:
            under_way[0] -= size
    assert most[0] <= 50 + 12  # the heavy one alone, and what was handed over a moment ago


def test_a_reader_that_stops_early_leaves_nothing_running() -> None:
    begun: list[int] = []
    some = in_order(begun.append, range(10_000), weight=lambda _: 1, budget=8, threads=2)
    next(some)
    some.close()  # type: ignore[attr-defined]
    count = len(begun)
    time.sleep(0.05)
    assert len(begun) == count <= 16


def test_large_objects_are_left_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "LARGE", 3000)
    written(tmp_path, {"large.wav": clip(1, seconds=0.1), "small.wav": clip(2), "manifest.json": b""})
    large, small = read(tmp_path, rules=PlanRules(format="audio"))
    assert (large.audio, small.audio) == (Span(f"{tmp_path}/large.wav"), clip(2))
    written(tmp_path, {"manifest.json": jsonl([{"audio_filepath": "large.wav"}, {"audio_filepath": "small.wav"}])})
    assert [each.audio for each in read(tmp_path)] == [large.audio, small.audio]


@pytest.mark.parametrize(("size", "at_once"), [(25_000, range(4, 7)), (1_000, range(24, 34))])
def test_audio_of_unknown_size_comes_many_at_once_where_it_is_small_and_stays_within_the_budget_where_it_is_not(
    size: int, at_once: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"AHEAD": 128_000, "LARGE": 32_000, "LEAST": 4_000}.items():
        monkeypatch.setattr(fetch, name, value)
    here, most, lock = [0], [0], threading.Lock()

    def content(_: Span) -> bytes:
        with lock:
            here[0] += 1
            most[0] = max(most[0], here[0])
        time.sleep(0.005)
        return bytes(size)

    monkeypatch.setattr(fetch, "_read", content)
    unknown = (Recording("shard", n, str(n), str(n), Span(str(n))) for n in range(200))
    for _ in fetch.fetched((each, None) for each in unknown):
        with lock:
            here[0] -= 1
    assert most[0] in at_once


def test_large_members_of_a_tar_are_left_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sources.webdataset.LARGE", 3000)
    tar = tarred([("a.wav", clip(1)), ("b.wav", clip(2, seconds=0.1)), ("c.wav", clip(3))])
    a, b, c = read(written(tmp_path, {"t.tar": tar}))
    assert (a.audio, c.audio) == (clip(1), clip(3))
    assert isinstance(b.audio, Span) and b.audio.end is not None
    assert tar[b.audio.begin : b.audio.end] == clip(2, seconds=0.1)


def test_the_segments_of_one_file_share_one_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    part = Disk.part

    def counted(self: Disk, path: str, begin: int, end: int | None, version: str | None) -> Part:
        asked.append(Path(path).name)
        return part(self, path, begin, end, version)

    segments = "".join(f"u{n:03d} r{n // 100} {n} {n + 1}\n" for n in range(300)).encode()
    scp = b"r0 0.wav\nr1 1.wav\nr2 2.wav\n"
    written(tmp_path, {"wav.scp": scp, "segments": segments, **{f"{n}.wav": clip(n) for n in range(3)}})
    shards = list(plan([str(tmp_path)]))
    monkeypatch.setattr(Disk, "part", counted)
    found = [each for shard in shards for each in recordings(shard)]
    assert sorted(asked) == ["0.wav", "1.wav", "2.wav"]
    assert [each.audio for each in found] == [clip(n // 100) for n in range(300)]
    assert found[0].audio is found[99].audio


def test_one_row_of_a_shard_is_read_alone_under_its_own_number(tmp_path: Path) -> None:
    (shard,) = plan([str(written(tmp_path, {f"{n}.wav": clip(n) for n in range(5)}))])
    (found,) = recordings(shard.slice(3, 1))
    assert (found.ordinal, found.audio) == (3, clip(3))
    assert list(recordings(shard.slice(0, 0))) == []


@pytest.fixture
def corpus(moto_s3: str) -> str:
    """One bucket with several forms in it."""
    store = Store(moto_s3)
    lines = [{"audio_filepath": f"../loose/{n}.wav", "text": str(n)} for n in (1, 0, 9)]
    files = {f"loose/{n}.wav": clip(n) for n in range(6)} | {"loose/zero.wav": b"", "loose/deep/er/x.flac": clip(7)}
    files |= {"tar/a.tar": tarred([(f"{n}.wav", clip(n)) for n in range(4)]), "nemo/manifest.json": jsonl(lines)}
    files |= {f"shar/{name}": content for name, content in shar([{"id": "c"}], [("c", clip(3))]).items()}
    for name, content in files.items():
        store.put(name, content)
    return moto_s3


def test_a_bucket_is_read_as_a_disk_is(corpus: str, tmp_path: Path) -> None:
    store = Store(corpus)
    for entry in store.names():
        written(tmp_path / "corpus", {entry.uri: store.read(entry.uri)})
    inputs, roots = ["tar/*.tar", "nemo/manifest.json", "shar", "loose"], ["loose"]

    def all_of(root: str) -> Iterator[Recording]:
        rules = PlanRules(roots=tuple(f"{root}/{each}" for each in roots))
        for each in read(*(f"{root}/{name}" for name in inputs), rules=rules):
            failure = each.failure and replace(each.failure, message="")
            yield replace(each, uri=each.uri.removeprefix(root), failure=failure)

    found = list(all_of(corpus))
    assert found == list(all_of(str(tmp_path / "corpus")))
    assert len(by_id(found)) == 4 + 3 + 1 + 8
    assert [each.failure.kind for each in found if each.failure] == ["NotFound"]


def test_an_object_that_was_deleted_after_the_plan_is_one_failed_row(corpus: str) -> None:
    (shard,) = plan([f"{corpus}/loose"])
    Store(corpus).delete("loose/2.wav")
    found = list(recordings(shard))
    assert kinds(found) == [None, None, "NotFound", None, None, None, None, None]


def test_versions_come_from_the_store(corpus: str) -> None:
    versions = {row["uri"]: row["version"] for shard in plan([f"{corpus}/loose"]) for row in shard.to_pylist()}
    Store(corpus).put("loose/2.wav", clip(99))
    again = {row["uri"]: row["version"] for shard in plan([f"{corpus}/loose"]) for row in shard.to_pylist()}
    assert [uri for uri in versions if versions[uri] != again[uri]] == [f"{corpus}/loose/2.wav"]


def test_credentials_never_reach_a_plan_or_a_failure(corpus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (shard,) = plan([f"{corpus}/loose"])
    hidden = "of-the-store-alone"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", hidden)

    def refused(*_: object) -> Part:
        raise StoreError("Denied", f"refused with {hidden}")

    monkeypatch.setattr("pipeline.stores.s3.Bucket.part", refused)
    found = list(recordings(shard))
    assert kinds(found) == ["Denied"] * 8
    assert hidden not in str(found) + str(shard.to_pylist())


def test_small_reads_take_the_quick_way_and_what_goes_wrong_there_the_thorough_one(
    corpus: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shard,) = plan([f"{corpus}/loose"])
    thorough: list[str] = []
    fetched = s3.fetch
    monkeypatch.setattr(s3, "fetch", lambda path, options: thorough.append(path) or fetched(path, options))
    whole = list(recordings(shard))
    assert [name.rpartition("/")[2] for name in thorough] == ["zero.wav"]
    monkeypatch.setattr(s3_quick, "make", lambda *_: None)
    assert list(recordings(shard)) == whole
    assert len(thorough) == 1 + 8
