"""Scored recordings in order, worst first, however many: kept in a database of this process that spills to disk."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from pipeline.scoring import Edits

ROWS = 4096
"""Of a table that is made at once."""
COUNTS = ("substitutions", "deletions", "insertions")
SCORED = pa.schema(
    [
        pa.field("recording_id", pa.string(), nullable=False),
        pa.field("channel", pa.int32()),
        pa.field("seconds", pa.float64()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("confidence", pa.float32()),
        pa.field("wer", pa.float64(), nullable=False),
        pa.field("cer", pa.float64(), nullable=False),
        pa.field("words", pa.int64(), nullable=False),
        *(pa.field(f"word_{kind}", pa.int64(), nullable=False) for kind in COUNTS),
        pa.field("characters", pa.int64(), nullable=False),
        *(pa.field(f"character_{kind}", pa.int64(), nullable=False) for kind in COUNTS),
        pa.field("reference", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
    ]
)
"""A row per recording or channel; texts as they were written."""


@dataclass(frozen=True)
class Scored:
    """One row of the output against its reference."""

    recording_id: str
    channel: int | None
    seconds: float
    status: str
    confidence: float | None
    words: Edits
    characters: Edits
    reference: str
    text: str

    @property
    def cells(self) -> tuple[object, ...]:
        """As a row of the table."""
        head = (self.recording_id, self.channel, self.seconds, self.status, self.confidence)
        return (*head, self.words.rate, self.characters.rate, *_counts(self.words), *_counts(self.characters),
                self.reference, self.text)  # fmt: skip


class Ranking:
    """All that was scored, by one of its rates."""

    def __init__(self, by: str) -> None:
        self._by = by
        self._rows = sqlite3.connect("")
        columns = ", ".join(f'"{name}"' for name in SCORED.names)
        self._rows.execute(f"CREATE TABLE scored ({columns})")
        self._into = f"INSERT INTO scored VALUES ({', '.join('?' * len(SCORED))})"  # noqa: S608

    def add(self, scored: Scored) -> None:
        """Take one."""
        self._rows.execute(self._into, scored.cells)

    def worst(self, count: int) -> Iterator[Scored]:
        """The first ones."""
        return map(_scored, islice(self._ordered(), count))

    def tables(self) -> Iterator[pa.Table]:
        """Every one, in order, some at a time."""
        rows = self._ordered()
        while batch := list(islice(rows, ROWS)):
            columns = [
                pa.array(column, kind.type) for column, kind in zip(zip(*batch, strict=True), SCORED, strict=True)
            ]
            yield pa.table(columns, schema=SCORED)

    def _ordered(self) -> Iterator[tuple[object, ...]]:
        errors = " + ".join(f"{'word' if self._by == 'wer' else 'character'}_{kind}" for kind in COUNTS)
        order = f"{self._by} DESC, {errors} DESC, recording_id, channel"
        return iter(self._rows.execute(f"SELECT * FROM scored ORDER BY {order}"))  # noqa: S608


def _counts(edits: Edits) -> tuple[int, ...]:
    return (edits.length, edits.substitutions, edits.deletions, edits.insertions)


def _scored(cells: tuple[object, ...]) -> Scored:
    name, channel, seconds, status, confidence, _, _, *rest = cells
    numbers = [int(str(number)) for number in rest[:8]]
    return Scored(
        recording_id=str(name),
        channel=None if channel is None else int(str(channel)),
        seconds=float(str(seconds)),
        status=str(status),
        confidence=None if confidence is None else float(str(confidence)),
        words=_edits(numbers[:4]),
        characters=_edits(numbers[4:]),
        reference=str(rest[8]),
        text=str(rest[9]),
    )


def _edits(numbers: list[int]) -> Edits:
    length, substitutions, deletions, insertions = numbers
    return Edits(substitutions, deletions, insertions, length)
