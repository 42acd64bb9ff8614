"""What stands where later generations hold a recording, or a container of many, again."""

import io
import json
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.commit import commit
from pipeline.inputs.found import PlanRules
from pipeline.inputs.rows import Row
from pipeline.latest import by_shard, latest, superseded
from pipeline.output import add_generation, generations
from pipeline.plan import shards_of
from pipeline.planfile import write_plan
from pipeline.schema import TRANSCRIPT
from pipeline.storage import Store
from tests.pipeline.rows import STAMP, census, row
from tests.pipeline.rows import rows as gathered
from tests.readme import README, blocks

NEWEST = blocks(README, "sql")[1]


def put(store: Store, shard: str, names: list[str], run_id: str) -> None:
    """Commit a shard; names with an exclamation mark are of recordings that failed."""
    table = pa.Table.from_pylist(
        [
            {
                **row((9 if name.endswith("!") else 0, None), run_id),
                **{"ordinal": index, "recording_id": name.removesuffix("!")},
            }
            for index, name in enumerate(names)
        ],
        schema=gathered([(0, None)]).schema,
    )
    commit(store, shard, table, census(len(names)), replace(STAMP, run_id=run_id, generation=int(shard[:6])))


def planned(store: Store, *rows: Row, retried: bool = False) -> list[str]:
    """Plan a generation of containers and recordings; the names of its shards."""
    rules, file = PlanRules(generation=len(generations(store)) + 1), io.BytesIO()
    tables = list(shards_of((("webdataset", row) for row in rows), rules))
    write_plan(tables, file, () if retried else ("in",))
    add_generation(store, rules.generation, file.getvalue())
    return [table["shard"][0].as_py() for table in tables]


def box(uri: str, part: int | None = None, **said: object) -> Row:
    """A tar, or a part of it."""
    ends = {} if part is None else {"begin_byte": 100 * part, "end_byte": 100 * part + 100}
    return Row(None, uri, extra=json.dumps({"prefix": uri.strip("/"), **said}), **ends)


def standing(store: Store) -> dict[str, str]:
    """The runs of the rows that stand, those of failed ones with a mark."""
    rows = pa.concat_tables(latest(store, ["recording_id", "run_id", "status"])).to_pylist()
    found = {row["recording_id"]: row["run_id"] + "!" * (row["status"] == "failed") for row in rows}
    assert len(found) == len(rows)
    bare = pa.concat_tables(latest(store, ["run_id"]))["run_id"].to_pylist()
    assert sorted(bare) == sorted(run.removesuffix("!") for run in found.values())
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three nights: b is heard in all of them, a and d in two."""
    store = Store(str(tmp_path))
    put(store, "000001-000000-x", ["a", "b", "c"], "night-1")
    put(store, "000002-000000-x", ["b", "d"], "night-2")
    put(store, "000003-000000-x", ["d", "a"], "night-3")
    put(store, "000003-000001-x", ["b", "e"], "night-3")
    return store


STANDING = {"a": "night-3", "b": "night-3", "c": "night-1", "d": "night-3", "e": "night-3"}


def test_of_every_recording_the_newest_row_stands(store: Store) -> None:
    found = pa.concat_tables(latest(store, ["recording_id", "run_id"])).to_pylist()
    assert sorted((each["recording_id"], each["run_id"]) for each in found) == sorted(STANDING.items())
    assert superseded(store)


def test_columns_are_those_that_were_asked_for(store: Store) -> None:
    tables = list(latest(store, ["status"]))
    assert sum(map(len, tables)) == len(STANDING)
    assert all(table.column_names == ["status"] for table in tables)


def test_shards_are_named_and_can_be_chosen(store: Store) -> None:
    found = {shard: table["recording_id"].to_pylist() for shard, table in by_shard(store, ["recording_id"])}
    assert found["000001-000000-x"] == ["c"]
    assert found["000002-000000-x"] == []
    chosen = by_shard(store, ["recording_id"], only={"000003-000001-x"})
    assert [(shard, table["recording_id"].to_pylist()) for shard, table in chosen] == [("000003-000001-x", ["b", "e"])]


def test_duckdb_reads_the_same(store: Store) -> None:
    found = (
        duckdb.sql(NEWEST.replace("'table/", f"'{store.url.removeprefix('file://')}/")).arrow().read_all().to_pylist()
    )
    assert {each["recording_id"]: each["run_id"] for each in found} == STANDING
    assert len(found) == len(STANDING)


def test_one_generation_is_read_as_it_is(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    put(store, "000001-000000-x", ["a", "b"], "night-1")
    assert not superseded(store)
    assert pa.concat_tables(latest(store, ["recording_id"]))["recording_id"].to_pylist() == ["a", "b"]


def test_columns_that_an_older_file_does_not_have_are_null(store: Store, tmp_path: Path) -> None:
    path = next(tmp_path.glob("transcripts/000001-*.parquet"))
    older = pq.read_table(path)
    pq.write_table(older.drop_columns(["ctc_loss"]), path)
    found = pa.concat_tables(latest(store))
    assert found.schema.equals(TRANSCRIPT)
    assert sorted(found["recording_id"].to_pylist()) == sorted(STANDING)


def test_no_row_of_a_container_stands_once_it_has_changed(disk: Store) -> None:
    (first,) = planned(disk, box("/a.tar"))
    put(disk, first, ["a/1", "a/2", "a/tail@1024!"], "night-1")
    (second,) = planned(disk, box("/a.tar", rows=2))
    assert standing(disk) == {"a/1": "night-1", "a/2": "night-1", "a/tail@1024": "night-1!"}, (
        "as long as it is not done"
    )
    put(disk, second, ["a/2", "a/3"], "night-2")
    assert standing(disk) == {"a/2": "night-2", "a/3": "night-2"}
    assert [shard for shard, _ in by_shard(disk)] == [first, second]


def test_a_container_in_parts_has_changed_when_all_of_them_are_done(disk: Store) -> None:
    for shard, names in zip(planned(disk, box("/a.tar", 0), box("/a.tar", 1)), (["a/1"], ["a/2", "a/3"]), strict=True):
        put(disk, shard, names, "night-1")
    head, tail = planned(disk, box("/a.tar", 0, other=1), box("/a.tar", 1, other=1))
    put(disk, tail, ["a/2"], "night-2")
    assert standing(disk) == {"a/1": "night-1", "a/2": "night-2", "a/3": "night-1"}
    put(disk, head, ["a/0"], "night-2")
    assert standing(disk) == {"a/0": "night-2", "a/2": "night-2"}


def test_a_listing_that_has_planned_no_more_than_the_rest_of_a_container_leaves_its_beginning(disk: Store) -> None:
    """As listings of an earlier version did where sizes of parts were set anew."""
    (first,) = planned(disk, box("/a.tar"))
    put(disk, first, ["a/1", "a/2"], "night-1")
    (second,) = planned(disk, box("/a.tar", 1))
    put(disk, second, ["a/2"], "night-2")
    assert standing(disk) == {"a/1": "night-1", "a/2": "night-2"}


def test_what_is_tried_again_of_a_container_ends_what_had_failed_in_that_part_and_nothing_else(disk: Store) -> None:
    left, right = planned(disk, box("/a.tar", 0), box("/a.tar", 1))
    put(disk, left, ["a/1", "a/x!"], "night-1")
    put(disk, right, ["a/2", "a/3!", "a/tail@150!"], "night-1")
    another, again = planned(disk, box("/b.tar"), box("/a.tar", 1), retried=True)
    put(disk, another, ["b/1"], "retry")
    assert "a/tail@150" in standing(disk)
    put(disk, again, ["a/2", "a/3", "a/4"], "retry")
    now = {"b/1": "retry", "a/2": "retry", "a/3": "retry", "a/4": "retry"}
    assert standing(disk) == {"a/1": "night-1", "a/x": "night-1!", **now}


def test_good_rows_of_a_container_stand_where_it_could_not_be_read_again(disk: Store) -> None:
    (first,) = planned(disk, box("/a.tar"))
    put(disk, first, ["a/1", "a/2", "a/3!"], "night-1")
    (again,) = planned(disk, box("/a.tar"), retried=True)
    put(disk, again, ["a/tail!"], "retry")
    assert standing(disk) == {"a/1": "night-1", "a/2": "night-1", "a/tail": "retry!"}


def test_other_containers_and_recordings_stand_beside_a_changed_one(disk: Store) -> None:
    loose = Row("loose", "/a.wav")
    first = planned(disk, box("/a.tar"), box("/b.tar"), box("/a.tar")._replace(extra='{"prefix": "mark/a"}'), loose)
    for shard, names in zip(first, (["a/1"], ["b/1!"], ["mark/a/1"], ["loose"]), strict=True):
        put(disk, shard, names, "night-1")
    (second,) = planned(disk, box("/a.tar"))
    put(disk, second, ["a/2"], "night-2")
    assert standing(disk) == {"a/2": "night-2", "b/1": "night-1!", "mark/a/1": "night-1", "loose": "night-1"}


def test_a_file_that_others_have_put_there_is_not_read(store: Store, tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), tmp_path / "transcripts" / "all.parquet")
    found = pa.concat_tables(latest(store, ["recording_id", "run_id"])).to_pylist()
    assert {each["recording_id"]: each["run_id"] for each in found} == STANDING
    assert superseded(store)
