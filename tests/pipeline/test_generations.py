"""What later plans add: everything that is new or changed, once, and under the name that it had."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.inputs.earlier import Form, prefix
from pipeline.inputs.found import PlanError
from pipeline.inputs.rows import Row
from pipeline.storage import StoreError
from pipeline.stores.disk import Disk
from tests.pipeline.corpora import clip, jsonl, tarred, written
from tests.pipeline.nights import Nights


def name(row: Row) -> str:
    """What a recording is called, or how those of a container begin."""
    return row.recording_id or prefix(row)


def packed(seed: int) -> bytes:
    return tarred([(f"{n}.wav", clip(seed + n)) for n in range(9)])


@pytest.mark.parametrize("form", ["tar", "parted tar", "parquet", "loose"])
def test_what_arrives_late_does_not_take_the_name_of_another(tmp_path: Path, form: str) -> None:
    file, rules = ("7.wav" if form == "loose" else "7.tar"), {"tar_bytes": 9000} if form == "parted tar" else {}
    inputs = [tmp_path / side / "shards" for side in ("de", "en")]

    def lay(side: int, seed: int) -> None:
        written(inputs[side], {file: clip(seed, seconds=seed / 50) if form == "loose" else packed(seed)})
        if form == "parquet":
            (inputs[side] / file).unlink()
            pq.write_table(pa.table({"audio": [clip(seed + n) for n in range(seed)]}), inputs[side] / "7.parquet")

    written(inputs[0], {"other.wav": clip(0)})
    lay(1, 1)
    nights = Nights()
    first = "shards/7.parquet" if form == "parquet" else f"shards/{file}"
    assert {name(row) for row in nights.plan(*inputs, **rules)} == {first, "shards/other.wav"}
    lay(0, 2)
    late = nights.plan(*inputs, **rules)
    assert {Path(row.uri).parent for row in late} == {inputs[0]}
    (other,) = {name(row) for row in late}
    assert other != first and first in other
    assert nights.plan(*inputs, **rules) == []
    for side, seed, kept in ((0, 3, other), (1, 4, first)):
        lay(side, seed)
        again = nights.plan(*inputs, **rules)
        assert {Path(row.uri).parent for row in again} == {inputs[side]}
        assert {name(row) for row in again} == {kept}, "it is changed, and the same"
        assert len(again) > 1 or form != "parted tar"


PLACES = [f"/{side}/set/{number}" for side in "xyz" for number in range(2)]


LISTING = st.dictionaries(st.sampled_from(PLACES), st.integers(0, 2)).map(lambda lain: sorted(lain.items()))


@settings(deadline=None)
@given(st.lists(LISTING.flatmap(st.permutations), max_size=6), st.booleans())
def test_a_name_is_of_one_place_for_ever_and_its_newest_state_counts(
    listings: list[list[tuple[str, int]]], boxed: bool
) -> None:
    nights, planned, places = Nights(), dict[str, int](), dict[str, str]()

    def rows(lain: list[tuple[str, int]]) -> Iterator[Form]:
        for uri, version in lain:
            short = uri.partition("/set/")[2]
            inside = json.dumps({"prefix": short})
            yield "audio", Row(None if boxed else short, uri, version=str(version), extra=inside if boxed else None)

    for lain in listings:
        added = nights.listed(rows(lain))
        assert {row.uri for row in added} == {uri for uri, version in lain if planned.get(uri) != version}
        assert len(added) == len({row.uri for row in added})
        planned |= dict(lain)
        for row in added:
            assert places.setdefault(name(row), row.uri) == row.uri
    assert len(places) == len(planned)


def test_what_changes_back_is_read_again(tmp_path: Path) -> None:
    nights = Nights()
    for box in ("a.wav", "t.tar"):
        contents = [clip(1), clip(2)] if box == "a.wav" else [packed(1), packed(5)]
        for content in (0, 1, 0, 0):
            written(tmp_path, {box: contents[content]})
            os.utime(tmp_path / box, (1_000_000 + content, 1_000_000 + content))
            nights.plan(tmp_path)
        planned = [row for file in nights.plans for row in pq.read_table(file).to_pylist() if box in row["uri"]]
        assert len(planned) == 3


def test_a_container_that_changes_back_is_read_again_also_where_it_was_parted_meanwhile(tmp_path: Path) -> None:
    nights, box = Nights(), tmp_path / "t.tar"
    counts = []
    for seed, copies in ((1, 1), (2, 9), (1, 1)):
        box.write_bytes(tarred([(f"{n}.wav", clip(seed)) for n in range(copies)]))
        os.utime(box, (1_000_000 + seed, 1_000_000 + seed))
        counts.append(len(nights.plan(tmp_path, tar_bytes=9000)))
    assert counts[0] == counts[2] == 1 and counts[1] > 1


def test_another_size_at_the_same_time_is_another_version(tmp_path: Path) -> None:
    nights = Nights()
    for count in (1, 2, 2):
        written(tmp_path, {"a.wav": clip(1, count), "t.tar": tarred([("x.wav", clip(1, count))])})
        for file in ("a.wav", "t.tar"):
            os.utime(tmp_path / file, (1_000_000, 1_000_000))
        nights.plan(tmp_path)
    assert [pq.read_metadata(file).num_rows for file in nights.plans] == [2, 2, 0]


def test_a_container_is_planned_again_as_a_whole_where_a_part_of_it_has_changed(tmp_path: Path) -> None:
    nights, path = Nights(), tmp_path / "t.parquet"
    for last in (3, 4):
        with pq.ParquetWriter(path, pa.schema([("audio", pa.binary())])) as writer:
            for seed in (1, 2, last):
                writer.write_table(pa.table({"audio": [clip(seed, seed)]}))
        os.utime(path, (1_000_000, 1_000_000))
        assert len(nights.plan(tmp_path, parquet_bytes=1)) == 3
    assert nights.plan(tmp_path, parquet_bytes=1) == []


def kaldi(folder: Path, *segments: str) -> Path:
    return written(folder, {"segments": "".join(segments).encode()})


def test_a_second_utterance_of_one_stretch_is_new_and_one_of_another_stretch_is_changed(tmp_path: Path) -> None:
    nights = Nights()
    written(tmp_path, {"wav.scp": b"rec rec.wav\n", "rec.wav": clip(1)})
    assert [row.recording_id for row in nights.plan(kaldi(tmp_path, "utt1 rec 0 5\n"))] == ["utt1"]
    both = ("utt2 rec 0 5\n", "utt1 rec 0 5\n")
    assert [row.recording_id for row in nights.plan(kaldi(tmp_path, *both))] == ["utt2"]
    (moved,) = nights.plan(kaldi(tmp_path, both[0], "utt1 rec 1 5\n"))
    assert (moved.recording_id, moved.begin) == ("utt1", 1.0)
    assert nights.plan(kaldi(tmp_path, both[0], "utt1 rec 1 5\n")) == []


def test_a_line_that_is_mended_keeps_the_name_that_it_failed_under(tmp_path: Path) -> None:
    nights, good = Nights(), "a rec.wav\nb rec.wav\n"
    written(tmp_path, {"rec.wav": clip(1)})
    planned = []
    for scp in (good, "a cat rec.wav |\nb rec.wav\n", good, good):
        written(tmp_path, {"wav.scp": scp.encode()})
        planned.append([(row.recording_id, row.error is None) for row in nights.plan(tmp_path)])
    assert planned == [[("a", True), ("b", True)], [("a", False)], [("a", True)], []]


def test_each_bad_line_is_planned_once(tmp_path: Path) -> None:
    nights, planned = Nights(), []
    written(tmp_path, {"1.wav": clip(1)})
    for bad in (1, 2, 2):
        written(tmp_path, {"m.jsonl": jsonl([*[b"{"] * bad, {"audio_filepath": "1.wav"}])})
        planned.append([row.recording_id for row in nights.plan(tmp_path / "m.jsonl")])
    assert planned == [["m.jsonl#line=1", "1.wav"], ["m.jsonl#line=2"], []]


def test_the_texts_of_one_recording_keep_their_names_in_any_order(tmp_path: Path) -> None:
    nights, lines = Nights(), [{"audio_filepath": "1.wav", "text": text} for text in "abb"]
    written(tmp_path, {"1.wav": clip(1), "manifest.json": jsonl(lines)})
    first = {row.recording_id: row.reference for row in nights.plan(tmp_path)}
    assert len(first) == 3
    written(tmp_path, {"manifest.json": jsonl([*lines[1:], lines[0]])})
    assert nights.plan(tmp_path) == []
    written(tmp_path, {"manifest.json": jsonl([*lines[1:], lines[0] | {"text": "c"}])})
    assert [(row.recording_id, row.reference) for row in nights.plan(tmp_path)] == [("1.wav", "c")]


def test_no_text_is_lost_where_another_of_the_same_recording_comes_before_it(tmp_path: Path) -> None:
    nights, lines = Nights(), [{"audio_filepath": "1.wav", "text": text} for text in "ab"]
    written(tmp_path, {"1.wav": clip(1), "manifest.json": jsonl(lines[:1])})
    standing = {row.recording_id: row.reference for row in nights.plan(tmp_path)}
    written(tmp_path, {"manifest.json": jsonl(lines[::-1])})
    standing |= {row.recording_id: row.reference for row in nights.plan(tmp_path)}
    assert sorted(map(str, standing.values())) == ["a", "b"]
    assert nights.plan(tmp_path) == []


def test_a_folder_above_the_first_input_brings_only_what_it_has_more(tmp_path: Path) -> None:
    nights = Nights()
    written(tmp_path / "corpus", {"old/a.wav": clip(1), "old/t.tar": packed(1), "new/b.wav": clip(2)})
    assert [name(row) for row in nights.plan(tmp_path / "corpus/old")] == ["old/a.wav", "old/t.tar"]
    assert [name(row) for row in nights.plan(tmp_path / "corpus")] == ["corpus/new/b.wav"]


@pytest.mark.parametrize("known", [(0, 9), (9, 0)])
def test_a_version_that_is_not_known_on_one_night_is_no_change(tmp_path: Path, known: tuple[int, int]) -> None:
    nights, lines = Nights(), [{"audio_filepath": f"{n}.wav", "text": "a"} for n in range(3)]
    written(tmp_path, {"manifest.json": jsonl(lines), **{f"{n}.wav": clip(n) for n in range(3)}})
    assert len(nights.plan(tmp_path, catalogue=known[0])) == 3
    assert nights.plan(tmp_path, catalogue=known[1]) == []
    lines[1]["text"] = "b"
    written(tmp_path, {"manifest.json": jsonl(lines)})
    assert [row.recording_id for row in nights.plan(tmp_path, catalogue=known[1])] == ["1.wav"]
    assert nights.plan(tmp_path, catalogue=known[0]) == []


def test_a_change_is_seen_after_a_night_without_versions(tmp_path: Path) -> None:
    nights = Nights()
    written(tmp_path, {"manifest.json": jsonl([{"audio_filepath": "1.wav"}]), "1.wav": clip(1)})
    assert len(nights.plan(tmp_path)) == 1
    written(tmp_path, {"1.wav": clip(2, 1.0)})
    assert nights.plan(tmp_path, catalogue=0) == []
    assert len(nights.plan(tmp_path)) == 1


@pytest.mark.parametrize(("kind", "planned"), [("Denied", 1), ("NotFound", 1), ("Unreachable", None)])
def test_who_may_not_list_has_no_versions_and_an_outage_ends_the_planning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, planned: int | None
) -> None:
    written(tmp_path, {"manifest.json": jsonl([{"audio_filepath": "1.wav"}]), "1.wav": clip(1)})
    walk = Disk.walk

    def broken(self: Disk, path: str) -> Iterator[object]:
        entries = list(walk(self, path))
        yield from entries[:1]
        if path == str(tmp_path):
            raise StoreError(kind, f"{path}: no answer")
        yield from entries[1:]

    monkeypatch.setattr(Disk, "walk", broken)
    if planned is None:
        with pytest.raises(PlanError, match="no answer"):
            Nights().plan(tmp_path / "manifest.json")
    else:
        (row,) = Nights().plan(tmp_path / "manifest.json")
        assert row.version is None
