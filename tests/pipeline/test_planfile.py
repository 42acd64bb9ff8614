"""The plan as a file, and what a later plan adds to it."""

import io
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline import planfile
from pipeline.inputs.found import PlanRules
from pipeline.inputs.rows import Row
from pipeline.plan import plan, shards_of
from pipeline.planfile import earlier, new_or_changed, read_plan, shard_rows, shards, write_plan
from tests.pipeline.corpora import clip, jsonl, tarred, written


def kept(tables: Iterable[pa.Table]) -> io.BytesIO:
    """The plan of some shards."""
    file = io.BytesIO()
    write_plan(tables, file)
    return file


def later(file: io.BytesIO, folder: Path, *older: io.BytesIO) -> list[pa.Table]:
    """What a second generation holds."""
    rules, before = PlanRules(generation=2, shard_size=10), earlier([*older, file])
    return list(new_or_changed(before, plan([str(folder)], rules, before), rules))


def test_each_shard_is_found_again_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planfile, "GROUP", 50)
    rows = [("audio", Row(f"x/{n}", f"/x/{n}.wav", bytes=n, error=None)) for n in range(333)]
    tables = list(shards_of([*rows, ("webdataset", Row(None, "/t.tar", extra="{}"))], PlanRules(shard_size=7)))
    file = io.BytesIO()
    total = write_plan(tables, file)
    assert (total.shards, total.rows, total.containers, total.failed) == (49, 334, 1, 0)
    assert total.bytes == sum(range(333))
    places = list(shards(file))
    assert [place.shard for place in places] == [table["shard"][0].as_py() for table in tables]
    assert len({place.row_group for place in places}) == 7
    for place, table in zip(places, tables, strict=True):
        assert shard_rows(file, place).equals(table)
    assert list(read_plan(file)) == tables


def test_an_empty_plan_has_no_shards() -> None:
    assert list(shards(kept([]))) == []


def test_a_later_plan_holds_what_is_new_or_changed_and_nothing_else(tmp_path: Path) -> None:
    written(tmp_path, {f"{n:02d}.wav": clip(n) for n in range(30)} | {"a.tar": tarred([]), "b.tar": tarred([])})
    first = kept(plan([str(tmp_path)]))
    assert later(first, tmp_path) == []
    written(tmp_path, {"07.wav": clip(99), "zz.wav": clip(1), "b.tar": tarred([("x.wav", clip(2))])})
    (tmp_path / "03.wav").unlink()
    tables = later(first, tmp_path)
    assert [(table["shard"][0].as_py(), len(table)) for table in tables] == [
        (f"000002-000000-{tmp_path.name}", 1),
        ("000002-000001-b", 1),
        (f"000002-000002-{tmp_path.name}", 1),
    ]
    assert tables[0]["recording_id"].to_pylist() == [f"{tmp_path.name}/07.wav"]
    assert later(kept(tables), tmp_path, first) == []


def test_a_changed_reference_is_a_changed_recording(tmp_path: Path) -> None:
    lines = [{"audio_filepath": f"{n}.wav", "text": "said"} for n in range(3)]
    written(tmp_path, {"manifest.json": jsonl(lines)})
    first = kept(plan([str(tmp_path)]))
    lines[1]["text"] = "said otherwise"
    written(tmp_path, {"manifest.json": jsonl(lines)})
    (table,) = later(first, tmp_path)
    assert table["recording_id"].to_pylist() == ["1.wav"]


def test_an_id_that_an_earlier_plan_gave_away_is_not_given_to_another(tmp_path: Path) -> None:
    written(tmp_path / "b/set", {"a.wav": clip(1)})
    first = kept(plan([str(tmp_path / "b/set")]))
    written(tmp_path / "a/set", {"a.wav": clip(2)})
    rules, before = PlanRules(generation=2), earlier([first])
    both = plan([str(tmp_path / "a/set"), str(tmp_path / "b/set")], rules, before)
    (table,) = new_or_changed(before, both, rules)
    assert table["uri"].to_pylist() == [f"{tmp_path}/a/set/a.wav"]
    assert table["recording_id"][0].as_py().startswith("set/a.wav~")


@pytest.mark.parametrize("form", ["nemo", "kaldi", "commonvoice", "tarred"])
def test_audio_that_changed_behind_its_manifest_is_planned_again(tmp_path: Path, form: str) -> None:
    lines = [{"audio_filepath": f"{n}.wav"} for n in range(3)]
    audio = {f"{n}.wav": clip(n) for n in range(3)}
    files: dict[str, dict[str, bytes]] = {
        "nemo": {"manifest.json": jsonl(lines), **audio},
        "kaldi": {"wav.scp": b"0.wav 0.wav\n1.wav 1.wav\n2.wav 2.wav\n", **audio},
        "commonvoice": {"train.tsv": b"path\tsentence\n0.wav\ta\n1.wav\tb\n2.wav\tc\n"}
        | {f"clips/{name}": content for name, content in audio.items()},
        "tarred": {"tarred_audio_manifest.json": jsonl([each | {"shard_id": n} for n, each in enumerate(lines)])}
        | {f"audio_{n}.tar": tarred([(f"{n}.wav", clip(n))]) for n in range(3)},
    }
    written(tmp_path, files[form])
    first = kept(plan([str(tmp_path)]))
    assert later(first, tmp_path) == []
    changed = next(name for name in files[form] if "1." in name)
    written(tmp_path, {changed: files[form][changed] + bytes(512)})
    (table,) = later(first, tmp_path)
    assert table["recording_id"].to_pylist() == ["1.wav"]
    expected = None if form == "tarred" else len(clip(1)) + 512
    assert table["bytes"].to_pylist() == [expected]


def test_a_tar_that_changed_elsewhere_than_beside_its_manifest_is_planned_again(tmp_path: Path) -> None:
    lines = [{"audio_filepath": f"{n}.wav", "shard_id": n} for n in range(3)]
    tars = {f"tars/t_{n}.tar": tarred([(f"{n}.wav", clip(n))]) for n in range(3)}
    written(tmp_path, {"lists/m.json": jsonl(lines), **tars})
    rules = PlanRules(tars=f"{tmp_path}/tars/t_{{0..2}}.tar")
    first = earlier([kept(plan([f"{tmp_path}/lists/m.json"], rules))])
    written(tmp_path, {"tars/t_1.tar": tars["tars/t_1.tar"] + bytes(512)})
    (table,) = new_or_changed(first, plan([f"{tmp_path}/lists/m.json"], rules, first), replace(rules, generation=2))
    assert table["recording_id"].to_pylist() == ["1.wav"]


def test_a_folder_of_too_many_objects_is_not_catalogued(tmp_path: Path) -> None:
    lines = [{"audio_filepath": f"{n}.wav"} for n in range(3)]
    written(tmp_path, {"manifest.json": jsonl(lines), **{f"{n}.wav": clip(n) for n in range(3)}})
    for most, known in ((3, 0), (4, 3)):
        (table,) = plan([str(tmp_path)], PlanRules(catalogue=most))
        assert len(table) - table["version"].null_count == known
