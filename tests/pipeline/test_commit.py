"""One shard, one file: checked, whole, and written once."""

import glob
import random
from dataclasses import replace

import datasets
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from pipeline import commit as committing
from pipeline.commit import AlreadyThere, Committed, CommittedElsewhereError, Key, Unbalanced, commit, read_footer
from pipeline.output import transcript_name
from pipeline.schema import TRANSCRIPT
from pipeline.storage import Part, Store, StoreError
from pipeline.stores.disk import Disk
from pipeline.stores.stream import FIRST_WINDOW
from tests.pipeline.rows import STAMP, census, rows


def test_a_shard_is_written_in_the_order_of_the_plan_however_it_arrived(store: Store) -> None:
    keys: list[Key] = [(ordinal, channel) for ordinal in range(20) for channel in (0, 1)]
    shuffled = random.Random(0).sample(keys, len(keys))
    made = commit(store, "train/1", rows(shuffled), keys, STAMP)
    assert isinstance(made, Committed)
    with store.open(transcript_name("train/1")) as file:
        table = pq.read_table(file)
    assert table.schema.equals(TRANSCRIPT)
    assert table.equals(rows(keys).select(TRANSCRIPT.names))
    assert made.size == sum(entry.size for entry in store.names("transcripts"))


def test_the_footer_tells_counts_and_making_without_the_rows(store: Store) -> None:
    commit(store, "1", rows(census(25)), census(25), STAMP)
    footer = read_footer(store, "1")
    assert footer.counts == {"ok": 23, "empty": 0, "skipped": 0, "failed": 2}
    assert (footer.stamp, footer.rows, footer.seconds) == (STAMP, 25, 37.5)


def test_the_footer_of_a_large_file_is_read_from_its_end_only(disk: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    table, keys = rows(census(40)), [(ordinal, None) for ordinal in range(40)]
    noise = pa.array([random.Random(number).randbytes(50_000).hex() for number in range(40)])
    made = commit(disk, "1", table.set_column(table.schema.get_field_index("text"), "text", noise), keys, STAMP)
    fetched: list[int] = []
    part = Disk.part

    def counted(self: Disk, path: str, begin: int, end: int | None, version: str | None) -> Part:
        found = part(self, path, begin, end, version)
        fetched.append(len(found.payload))
        return found

    monkeypatch.setattr(Disk, "part", counted)
    assert read_footer(disk, "1").rows == 40
    assert isinstance(made, Committed) and sum(fetched) <= FIRST_WINDOW < made.size / 4


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ([(0, None), (2, None)], "1 missing \\(recording 1\\)"),
        ([(0, None), (1, None), (2, None), (2, None)], "1 more than once \\(recording 2\\)"),
        ([(0, None), (1, None), (2, None), (3, 1)], "1 not in the plan \\(recording 3 channel 1\\)"),
        ([(0, 0), (1, None), (2, None)], "1 missing \\(recording 0\\); 1 not in the plan \\(recording 0 channel 0\\)"),
        ([], "3 missing \\(recording 0, recording 1, recording 2\\)"),
    ],
)
def test_a_shard_that_does_not_balance_is_not_written(disk: Store, keys: list[Key], said: str) -> None:
    with pytest.raises(Unbalanced, match=f"shard 7 does not balance: {said}$"):
        commit(disk, "7", rows(keys), census(3), STAMP)
    assert list(disk.names()) == []


def test_a_long_list_of_missing_rows_is_told_short_and_kept_whole(disk: Store) -> None:
    with pytest.raises(Unbalanced, match=r"1000 missing \(.*recording 4, \.\.\.\)$") as told:
        commit(disk, "7", rows([]), census(1000), STAMP)
    assert list(told.value.missing) == census(1000) and len(str(told.value)) < 200


def test_an_empty_shard_is_a_file_without_rows(disk: Store) -> None:
    commit(disk, "empty", rows([]), [], STAMP)
    assert read_footer(disk, "empty").rows == 0 == read_footer(disk, "empty").counts["ok"]


def test_who_comes_second_with_the_same_model_goes_on_and_changes_nothing(store: Store) -> None:
    commit(store, "1", rows(census(3)), census(3), STAMP)
    before = store.read(transcript_name("1"))
    again = commit(store, "1", rows(census(3), "run-2"), census(3), replace(STAMP, run_id="run-2"))
    assert isinstance(again, AlreadyThere) and again.footer.stamp.run_id == "run-1"
    assert store.read(transcript_name("1")) == before


def test_a_file_of_another_model_is_an_error_in_words(disk: Store) -> None:
    commit(disk, "1", rows(census(3)), census(3), STAMP)
    with pytest.raises(CommittedElsewhereError, match=r"1\.parquet was written by run run-1 with another model"):
        commit(disk, "1", rows(census(3)), census(3), replace(STAMP, fingerprint="other"))


@pytest.mark.parametrize(("payload", "said"), [(b"nonsense", "is not a Parquet file"), (None, "not written by this")])
def test_a_file_that_is_not_ours_is_named(disk: Store, payload: bytes | None, said: str) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [1]}), sink)
    disk.create(transcript_name("1"), payload or sink.getvalue().to_pybytes())
    with pytest.raises(StoreError, match=f"transcripts/1.parquet .*{said}"):
        commit(disk, "1", rows(census(3)), census(3), STAMP)


def test_a_status_that_does_not_exist_is_never_written(disk: Store) -> None:
    table = rows(census(1))
    strange = table.set_column(table.schema.get_field_index("status"), "status", pa.array(["done"]))
    with pytest.raises(ValueError, match="no such status"):
        commit(disk, "1", strange, census(1), STAMP)


def test_the_files_are_compressed_with_statistics_and_groups_of_a_sensible_size(disk: Store) -> None:
    commit(disk, "1", rows(census(3000)), census(3000), STAMP)
    with disk.open(transcript_name("1")) as file:
        metadata = pq.read_metadata(file)
    column = metadata.row_group(0).column(0)
    assert column.compression == "ZSTD" and column.statistics.min == "clip-0" and metadata.num_row_groups == 1
    assert committing.row_group(rows(census(10))) == committing.MOST_ROWS


def test_a_file_of_a_few_rows_is_not_compressed_and_hardly_larger_for_it(
    disk: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(disk, "1", rows(census(10)), census(10), STAMP)
    monkeypatch.setattr(committing, "SMALL", 0)
    commit(disk, "2", rows(census(10)), census(10), STAMP)
    plain, packed = (disk.read(transcript_name(shard)) for shard in "12")
    kinds = [pq.read_metadata(pa.BufferReader(file)).row_group(0).column(0).compression for file in (plain, packed)]
    assert kinds == ["UNCOMPRESSED", "ZSTD"] and len(plain) < 1.1 * len(packed)


def test_the_folder_reads_as_one_table_everywhere(disk: Store) -> None:
    commit(disk, "a", rows(census(30)), census(30), STAMP)
    commit(disk, "b/c", rows([(0, 0), (0, 1)]), [(0, 0), (0, 1)], STAMP)
    commit(disk, "none", rows([]), [], STAMP)
    folder = f"{disk.url}/transcripts"
    files = sorted(glob.glob(f"{folder}/**/*.parquet", recursive=True))
    expected = pa.concat_tables([rows(census(30)), rows([(0, 0), (0, 1)])]).select(TRANSCRIPT.names).to_pylist()

    assert pyarrow.dataset.dataset(folder).to_table().cast(TRANSCRIPT).to_pylist() == expected
    told = duckdb.read_parquet(f"{folder}/**/*.parquet")
    assert told.to_arrow_table().select(TRANSCRIPT.names).to_pylist() == expected
    assert pl.read_parquet(f"{folder}/**/*.parquet").to_dicts() == expected
    frame = pd.read_parquet(folder)
    assert list(frame["recording_id"]) == [line["recording_id"] for line in expected]
    assert frame["segments"][0][0]["words"][0]["word"] == "one"
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=f"{disk.url}/.cache")
    assert loaded.column_names == TRANSCRIPT.names and loaded["uri"][:] == [line["uri"] for line in expected]
