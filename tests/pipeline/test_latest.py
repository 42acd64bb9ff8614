"""What stands where later generations hold a recording again."""

from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.commit import commit
from pipeline.latest import by_shard, latest, superseded
from pipeline.schema import TRANSCRIPT
from pipeline.storage import Store
from tests.pipeline.rows import STAMP, census, row
from tests.pipeline.rows import rows as gathered
from tests.readme import README, blocks

NEWEST = blocks(README, "sql")[1]


def put(store: Store, shard: str, names: list[str], run_id: str) -> None:
    table = pa.Table.from_pylist(
        [{**row((index, None), run_id), "recording_id": name} for index, name in enumerate(names)],
        schema=gathered([(0, None)]).schema,
    )
    commit(store, shard, table, census(len(names)), replace(STAMP, run_id=run_id, generation=int(shard[:6])))


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
