"""Commands that are shown to be pasted: usual names read easily, and no name does anything but be a name."""

import shlex
import subprocess
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.pasting import one_liner, query

FOLDERS = ["out", "my out", "it's $(touch gone) here", 'a "b" `touch gone`', "é!e\x1b", "c[1]*d?"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_pasted_reads_a_folder_of_any_name(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table = tmp_path / folder / "transcripts"
    table.mkdir(parents=True)
    pq.write_table(pa.table({"recording_id": ["one"], "text": ["two"]}), table / "a.parquet")
    line = one_liner(str(tmp_path / folder), "text")
    ran = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
    assert ran.stdout == "{'recording_id': 'one', 'text': 'two'}\n", ran.stderr
    assert not (tmp_path / "gone").exists()
    assert duckdb.sql(shlex.split(query(str(tmp_path / folder)))[2]).fetchall() == [("one", "two")]


def test_usual_names_are_shown_as_people_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/opt/my venv/bin/python")
    assert one_liner("s3://bucket/a b/", "units") == (
        "'/opt/my venv/bin/python' -c \"import pyarrow.dataset as d; print(*d.dataset('s3://bucket/a b/transcripts')"
        ".head(10, columns=['recording_id', 'units']).to_pylist(), sep='\\n')\""
    )
    assert shlex.split(one_liner("a\\b", "text"))[2].count(repr("a\\b/transcripts")) == 1
    assert query("out/") == "duckdb -c \"FROM 'out/transcripts/*.parquet' SELECT recording_id, text LIMIT 10\""
