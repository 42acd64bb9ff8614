"""What a run is told of how its inputs are read, and that a plan is held to it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.options import Incremental, Transcribe, Work
from jobs.planning import Growing, Once, rules
from pipeline.inputs.found import PlanRules
from pipeline.inputs.rows import unpacked
from pipeline.output import generations, plan_name
from pipeline.planfile import read_plan
from pipeline.storage import Store
from tests.jobs.planned import add
from tests.pipeline.corpora import clip, jsonl, tarred, written

Ask = Callable[..., Transcribe]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Options for an output of this test."""

    def asked(*inputs: Path, roots: tuple[str, ...] = (), **said: str) -> Transcribe:
        return Transcribe(tuple(map(str, inputs)), str(tmp_path / "out"), "model", roots=roots, **said)  # type: ignore[arg-type]

    return asked


def planned(options: Work) -> list[dict[str, object]]:
    """The rows that it plans."""
    store = Store(options.output)
    add(Once(options), store)
    rows = []
    for number in generations(store):
        with store.open(plan_name(number)) as file:
            rows += [row._asdict() for table in read_plan(file) for _, row in unpacked(table)]
    return rows


def test_a_manifest_may_name_audio_below_the_roots_that_are_given_and_nowhere_else(ask: Ask, tmp_path: Path) -> None:
    audio = written(tmp_path / "audio", {"a.wav": clip(1)})
    secret = written(tmp_path / "secret", {"b.wav": clip(2)})
    lines = [{"audio_filepath": f"{audio}/a.wav"}, {"audio_filepath": f"{secret}/b.wav"}]
    manifest = written(tmp_path / "lists", {"m.jsonl": jsonl(lines)}) / "m.jsonl"
    rows = planned(ask(manifest, roots=(str(audio),)))
    assert [(row["uri"], row["error"] is None) for row in rows] == [(f"{audio}/a.wav", True), (str(manifest), False)]
    assert "OutsideRoot" in str(rows[1]["error"]) and "roots" in str(rows[1]["error"])


def test_parquet_columns_of_any_name_are_read_when_they_are_named(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "calls.parquet"
    pq.write_table(pa.table({"payload": [clip(1)], "minutes": ["hello"]}), path)
    assert Once(ask(path)).flaws(None) == [
        f"input: {path} has no column of audio (bytes or paths): name it with audio_column"
    ]
    assert Once(ask(path, audio_column="pay")).flaws(None) == [
        f"input: {path} has no column 'pay', which audio_column names, with audio (bytes or paths)"
    ]
    (row,) = planned(ask(path, audio_column="payload", reference_column="minutes"))
    inside = json.loads(str(row["extra"]))
    assert (inside["audio"], inside["reference"]) == ("payload", "minutes")


def test_tars_of_a_manifest_are_those_that_are_named(ask: Ask, tmp_path: Path) -> None:
    lines = [{"audio_filepath": "a.wav", "said": "hello"}]
    folder = written(tmp_path / "in", {"m_0.json": jsonl(lines), "deep/clips_0.tar": tarred([("a.wav", clip(1))])})
    asked = ask(folder / "m_0.json", tars=str(folder / "deep" / "clips_{0..1}.tar"), reference_column="said")
    (row,) = planned(asked)
    assert (row["uri"], row["reference"]) == (f"{folder}/deep/clips_0.tar#a.wav", "hello")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"audio_column": "wav"}, "without audio_column 'wav'"),
        ({"reference_column": "said"}, "without reference_column 'said'"),
        ({"roots": ("/a", "/b")}, "without roots /a, /b"),
        ({"tars": "t_{0..1}.tar"}, "without tars 't_{0..1}.tar'"),
    ],
)
def test_what_is_said_after_planning_would_change_nothing_and_is_told(
    ask: Ask, tmp_path: Path, said: dict[str, str], shown: str
) -> None:
    folder = written(tmp_path / "in", {"a.wav": clip(1)})
    planned(ask(folder))
    store = Store(str(tmp_path / "out"))
    (problem,) = Once(ask(folder, **said)).flaws(store)  # type: ignore[arg-type]
    assert shown in str(problem) and "a run works off its plan" in str(problem)
    assert Once(ask(folder)).flaws(store) == []


def test_what_was_said_when_it_was_planned_may_be_said_again_or_left_out(ask: Ask, tmp_path: Path) -> None:
    folder = written(tmp_path / "in", {"a.wav": clip(1)})
    said = ask(folder, roots=("/a",), reference_column="said")
    planned(said)
    store = Store(said.output)
    assert Once(said).flaws(store) == Once(ask(folder)).flaws(store) == []
    more = Incremental((str(folder),), said.output, "model", audio_column="wav")
    written(folder, {"b.wav": clip(2)})
    assert add(Growing(more), store).rows == 1
    assert Once(ask(folder, audio_column="wav")).flaws(store) == []


def test_a_root_whose_address_holds_a_password_is_refused(ask: Ask, tmp_path: Path) -> None:
    folder = written(tmp_path / "in", {"a.wav": clip(1)})
    (problem,) = Once(ask(folder, roots=("s3://key:secret@bucket/audio",))).flaws(None)
    assert str(problem).startswith("input: roots: ") and "credentials do not belong in an address" in str(problem)


def test_how_shards_are_made_is_as_the_plan_makes_them_and_can_be_set(ask: Ask, tmp_path: Path) -> None:
    assert rules(ask(tmp_path)) == PlanRules()
    sizes = {"shard_size": 2, "tar_bytes": 3, "parquet_bytes": 4, "catalogue": 0}
    assert rules(replace(ask(tmp_path), **sizes)) == PlanRules(**sizes)  # type: ignore[arg-type]
    found = replace(ask(tmp_path), shard_size=0, tar_bytes=0, parquet_bytes=0, catalogue=-1).flaws()
    assert [said.partition(" is ")[0] for said in found] == ["shard_size", "tar_bytes", "parquet_bytes", "catalogue"]
