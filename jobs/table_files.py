"""A table as one file of its own, Parquet or CSV by its name, here or in a bucket.

It is made on this machine batch by batch and then put in its place whole: nobody sees half of one.
"""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from jobs.destination import file_at


def write_table(url: str, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    """Write tables of this schema, one after the other."""
    store, name = file_at(url)
    with TemporaryDirectory() as here:
        made = str(Path(here) / "table")
        with _writer(name, made, schema) as writer:
            for table in tables:
                writer.write_table(table)
        store.deposit(name, made)


def _writer(name: str, made: str, schema: pa.Schema) -> "pq.ParquetWriter | pyarrow.csv.CSVWriter":
    if name.lower().endswith(".csv"):
        return pyarrow.csv.CSVWriter(made, schema)
    return pq.ParquetWriter(made, schema, compression="zstd")
