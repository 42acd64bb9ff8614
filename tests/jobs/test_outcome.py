"""What is shown of an output is what stands in it."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.outcome import SHOWN, look
from pipeline.storage import Store
from tests.jobs.rows_of import Told, words, write_rows

LOST: Told = {"status": "failed", "error": {"class": "NotFound", "stage": "sources", "message": "it is gone"}}


def said(name: str, text: str) -> Told:
    return {"recording_id": name, "segments": words((text, 0.0, 1.0))}


def test_no_text_is_shown_that_a_later_generation_has_replaced(tmp_path: Path) -> None:
    first = [said(name, "old") for name in "abcd"]
    second = [said("a", "new"), {"recording_id": "b", **LOST}]
    where = write_rows(tmp_path, {"000001-000000-x": first, "000002-000000-x": second})
    found = look(Store(where))
    assert [(shown.recording_id, shown.text) for shown in found.first] == [("c", "old"), ("d", "old"), ("a", "new")]
    assert found.counts == {"ok": 3, "empty": 0, "skipped": 0, "failed": 1}


def test_of_a_large_table_a_few_shards_are_read_and_something_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although nothing of the older generation stands."""
    names = [f"{number:03}" for number in range(60)]
    shards = {f"000001-{number:06}-x": [said(name, "old")] for number, name in enumerate(names)}
    shards |= {f"000002-{number:06}-x": [said(name, "new")] for number, name in enumerate(names)}
    where, read = write_rows(tmp_path, shards), list[tuple[int, tuple[str, ...]]]()
    batches = pq.ParquetFile.iter_batches

    def noted(self: pq.ParquetFile, size: int, columns: list[str]) -> object:
        read.append((size, tuple(columns)))
        return batches(self, size, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", noted)
    found = look(Store(where))
    assert [(shown.recording_id, shown.text) for shown in found.first] == [(name, "new") for name in names[:SHOWN]]
    assert sum("text" in columns for _, columns in read) <= 2 * SHOWN
