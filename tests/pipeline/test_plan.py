"""What becomes a shard, how it is called, and what stops a plan before it begins."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.inputs.found import PlanError, PlanRules
from pipeline.inputs.naming import named
from pipeline.inputs.paths import plain
from pipeline.inputs.rows import Row, unpacked
from pipeline.inputs.seen import Seen
from pipeline.plan import plan, shards_of
from pipeline.schema import PLAN
from tests.pipeline.corpora import clip, jsonl, tarred, written


@st.composite
def planned(draw: st.DrawFn) -> list[tuple[str, Row]]:
    """Recordings of several forms, and containers among them."""
    rows: list[tuple[str, Row]] = []
    for number in range(draw(st.integers(0, 60))):
        form = draw(st.sampled_from(["audio", "audio", "nemo", "tar", "nemo-tar"]))
        uri = f"/c/{draw(st.integers(0, 2))}.tar#{number}"
        rows.append((form, Row(None if form == "tar" else f"id-{number % 40}", uri, extra='{"prefix": "p"}')))
    return rows


@given(planned(), st.integers(1, 9))
def test_every_row_is_in_one_shard_and_in_its_order(rows: list[tuple[str, Row]], size: int) -> None:
    tables = list(shards_of(named(iter(rows)), PlanRules(shard_size=size)))
    assert [row.uri for table in tables for _, row in unpacked(table)] == [row.uri for _, row in rows]
    ids = [row.recording_id for table in tables for _, row in unpacked(table) if row.recording_id]
    assert len(set(ids)) == len(ids)
    for table in tables:
        assert table.schema == PLAN and 1 <= len(table) <= size
        assert table["ordinal"].to_pylist() == list(range(len(table)))
        assert len(set(table["shard"].to_pylist())) == len(set(table["format"].to_pylist())) == 1
        assert table["recording_id"].null_count == 0 or len(table) == 1
        if table["format"][0].as_py() == "nemo-tar":
            assert len({uri.rpartition("#")[0] for uri in table["uri"].to_pylist()}) == 1
    names = [table["shard"][0].as_py() for table in tables]
    assert sorted(set(names)) == names
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,100}", name) for name in names)


@given(st.lists(st.lists(st.integers(0, 50), max_size=20), max_size=20))
def test_what_was_seen_before_is_known_exactly(batches: list[list[int]]) -> None:
    seen, known = Seen(), set[int]()
    for batch in batches:
        expected = []
        for key in batch:
            expected.append(key not in known)
            known.add(key)
        assert seen.take(batch).tolist() == expected
        assert seen.has(np.arange(51, dtype=np.uint64)).tolist() == [key in known for key in range(51)]


def test_a_plan_is_the_same_twice(tmp_path: Path) -> None:
    files = {f"{n:03d}.wav": clip(n) for n in range(25)} | {"t.tar": tarred([]), "x/manifest.json": b""}
    written(tmp_path, files)
    rules = PlanRules(shard_size=10)
    first, second = (pa.concat_tables(plan([str(tmp_path)], rules)) for _ in range(2))
    assert first.equals(second)
    shards = first["shard"].unique().to_pylist()
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", tmp_path.name).strip("._")
    assert shards == [f"000001-{n:06d}-{name}" for n in range(3)] + ["000001-000003-t"]


def test_loose_files_of_several_inputs_share_shards(tmp_path: Path) -> None:
    for n in range(6):
        written(tmp_path / f"d{n}", {"a.wav": clip(n)})
    tables = list(plan([str(tmp_path / f"d{n}") for n in range(6)], PlanRules(shard_size=4)))
    assert [len(table) for table in tables] == [4, 2]


def test_every_problem_of_the_set_up_is_told_at_once(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "numbers.parquet")
    written(tmp_path, {"empty/readme.md": b"", "empty.jsonl": b"", "report.pdf": b"%PDF-1.7", "t.tgz": b"\x1f\x8b..."})
    (tmp_path / "nothing").mkdir()
    bad = ["missing", "nothing", "empty", "empty.jsonl", "report.pdf", "numbers.parquet", "*.flac", "t.tgz"]
    with pytest.raises(PlanError) as caught:
        plan(
            [*(f"{tmp_path}/{name}" for name in bad), "http://x/y.wav", "s3://key:hidden@b/x"], PlanRules(shard_size=0)
        )
    problems = caught.value.problems
    assert len(problems) == len(bad) + 3 and str(caught.value) == "\n".join(problems)
    for name, problem in zip(bad, problems[1:], strict=False):
        assert f"{tmp_path}/{name}" in problem
    assert "shard_size" in problems[0] and "http:// is not opened" in problems[-2]
    assert "hidden" not in problems[-1] and "credentials" in problems[-1]


@pytest.mark.parametrize(("inputs", "rules"), [([], PlanRules()), (["."], PlanRules(format="csv"))])
def test_no_input_and_an_unknown_form_are_problems(inputs: list[str], rules: PlanRules) -> None:
    with pytest.raises(PlanError, match=r"no input is named|format csv: audio, nemo"):
        plan(inputs, rules)


def test_a_file_that_is_named_audio_is_audio_without_an_ending(tmp_path: Path) -> None:
    written(tmp_path, {"call-1": clip(1), "call-2": clip(2)})
    (table,) = plan([str(tmp_path / "call-1")], PlanRules(format="audio"))
    assert table["uri"].to_pylist() == [f"{tmp_path}/call-1"]


@pytest.mark.parametrize("written", ["/", "//", "file:///"])
def test_the_root_of_a_disk_is_not_where_the_program_was_started(written: str) -> None:
    assert plain(written) == "/"


def test_a_broken_parquet_is_bad_data_and_not_a_wrong_set_up(tmp_path: Path) -> None:
    written(tmp_path, {"a.parquet": b"PAR1 and nothing else PAR1", "b.wav": clip(1)})
    assert [table["uri"][0].as_py() for table in plan([str(tmp_path)])] == [
        f"{tmp_path}/a.parquet",
        f"{tmp_path}/b.wav",
    ]


def test_a_manifest_of_which_no_line_is_good_is_planned_when_it_is_named(tmp_path: Path) -> None:
    written(tmp_path, {"m.json": b"{\n}\n" + jsonl([{"a": 1}])})
    (table,) = plan([f"{tmp_path}/m.json"], PlanRules(format="nemo"))
    assert table["error"].null_count == 0 and len(table) == 3
