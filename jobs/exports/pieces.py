"""Files of many recordings, in pieces of a bounded size: a bucket takes a file whole, and a corpus fits no memory."""

import io
import re
from collections.abc import Iterator
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.schema import TRANSCRIPT
from pipeline.storage import Store

TEXT_BYTES = 64 << 20
"""Of a text file, about."""
TABLE_BYTES = 256 << 20
"""Of the rows of a Parquet file, before they are compressed."""
CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*.parquet
---

Transcripts of speech, a row per recording and channel. Columns are those of the table that they come from.
"""


class Piece(Protocol):
    """What is gathered for one file, and how it is written."""

    def files(self, *, last: bool) -> Iterator[tuple[str, bytes]]:
        """Yield what is full, or, in the end, what is left."""
        ...


class Lines:
    """Text files of one format: `ctm/part-00000.ctm`, and so on."""

    def __init__(self, name: str, ending: str, head: str = "", full: int = TEXT_BYTES) -> None:
        self._name, self._ending, self._head, self._full = name, ending, head, full
        self._waiting: list[bytes] = []
        self._bytes = self.written = 0

    def add(self, text: str) -> None:
        """Append whole lines."""
        payload = text.encode("utf-8", "backslashreplace")
        self._waiting.append(payload)
        self._bytes += len(payload)

    def files(self, *, last: bool) -> Iterator[tuple[str, bytes]]:
        """A file where enough has come together; in the end one at least, so that nothing is told from not done."""
        if self._bytes >= self._full or (last and (self._waiting or not self.written)):
            yield f"{self._name}/part-{self.written:05}{self._ending}", self._head.encode() + b"".join(self._waiting)
            self._waiting, self._bytes, self.written = [], 0, self.written + 1


class Dataset:
    """A folder that Hugging Face's `load_dataset` reads: Parquet files and the card that names them."""

    def __init__(self, full: int = TABLE_BYTES) -> None:
        self._full = full
        self._waiting: list[pa.Table] = []
        self.written = 0

    def add(self, table: pa.Table) -> None:
        """Append rows as they are."""
        self._waiting.append(table.replace_schema_metadata(None))

    def files(self, *, last: bool) -> Iterator[tuple[str, bytes]]:
        """A file where enough has come together; in the end one at least, and the card."""
        if self._nbytes >= self._full or (last and (self._waiting or not self.written)):
            sink = io.BytesIO()
            schema = self._waiting[0].schema if self._waiting else TRANSCRIPT
            with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
                if self._waiting:  # an empty group of rows is more than some readers can bear
                    writer.write_table(pa.concat_tables(self._waiting))
            yield f"dataset/data/train-{self.written:05}.parquet", sink.getvalue()
            self._waiting, self.written = [], self.written + 1
        if last:
            yield "dataset/README.md", CARD.encode()

    @property
    def _nbytes(self) -> int:
        return sum(table.nbytes for table in self._waiting)


def leftovers(store: Store, stem: str, ending: str, written: int) -> Iterator[str]:
    """Pieces of an earlier, larger export to the same place: read with the new ones, they would count twice."""
    piece = re.compile(rf"{re.escape(stem)}-([0-9]{{5,}}){re.escape(ending)}")
    for entry in store.names(stem.rpartition("/")[0]):
        if (found := piece.fullmatch(entry.uri)) and int(found[1]) >= written:
            yield entry.uri
