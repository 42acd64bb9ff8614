"""Collect what was heard until a shard is whole.

The engine may deliver a row late, twice or never: here a row that has arrived is kept once, and what has not arrived
is known by name. Memory holds the open shards' text and nothing else.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from pipeline.commit import GATHERED, Key
from pipeline.schema import FAILED, WITHHELD, Failure
from pipeline.scoring import letter_edits, normalise, word_edits
from pipeline.stitching import Making, Piece, Row, Word, stitched

SCORED = 25_000_000
"""Comparisons that one row's error rate may cost: the rates of longer texts are left empty, to be computed apart."""


@dataclass
class _Channel:
    """The pieces of one channel of a recording."""

    head: Row
    pieces: dict[int, Piece] = field(default_factory=dict)
    last: int | None = None
    reference: str | None = None
    extra: str | None = None
    failure: Mapping[str, str] | None = None

    @property
    def whole(self) -> bool:
        return self.last is not None and (self.failure is not None or len(self.pieces) == self.last + 1)


@dataclass
class _Shard:
    """What has arrived of one shard."""

    census: int | None = None
    open: dict[int, dict[int | None, _Channel]] = field(default_factory=dict)
    rows: dict[int, list[Row]] = field(default_factory=dict)
    channels: dict[int, list[int | None]] = field(default_factory=dict)
    """Of each recording that is whole: a row must come of every one."""

    @property
    def whole(self) -> bool:
        return self.census is not None and len(self.rows) == self.census


@dataclass(frozen=True)
class Whole:
    """A shard of which everything has arrived."""

    shard: str
    table: pa.Table
    expected: frozenset[Key]


class Gathering:
    """The open shards of a run."""

    def __init__(self, making: Making) -> None:
        self.making = making
        self._shards: dict[str, _Shard] = {}
        self._finished: set[str] = set()
        self.outages: dict[str, str] = {}
        """Shards that the storage did not give, since `start_again`, and why."""
        self.reached: set[str] = set()
        """Shards that were read to their end, since `start_again`."""
        self.withheld: dict[tuple[str, int], Failure] = {}
        """Recordings, by shard and place, that failed since `start_again` and may not fail again, and how."""
        self.arrivals: Counter[str] = Counter()
        """Rows by status that are whole, in open shards too."""

    def take(self, heard: pa.Table) -> Iterator[Whole]:
        """Keep a table of segments, and yield the shards that it completes."""
        for row in heard.to_pylist():
            key = row["key"]
            if key["shard"] in self._finished:
                continue
            shard = self._shards.setdefault(key["shard"], _Shard())
            if key["census"] is not None:
                if any(ordinal >= key["census"] for ordinal in shard.rows):  # it was replaced between two passes
                    self._forget(key["shard"])
                    continue
                shard.census = key["census"]
                self.reached.add(key["shard"])
            elif key["ordinal"] is None:
                self.outages[key["shard"]] = key["failure"]["message"]
            elif key["failure"] is not None and key["failure"]["status"] == WITHHELD:
                why = (key["failure"][name] for name in ("class", "stage", "message"))
                self.withheld[key["shard"], key["ordinal"]] = Failure(*why)
            elif key["ordinal"] not in shard.rows:
                self._keep(shard, key, row)
            if shard.whole:
                yield self._finish(key["shard"])

    @property
    def open(self) -> list[str]:
        """The shards of which something has arrived, but not all."""
        return list(self._shards)

    def arrived(self, shard: str) -> list[int]:
        """The recordings of a shard that need not be heard again."""
        return sorted(self._shards[shard].rows) if shard in self._shards else []

    def census(self, shard: str) -> int | None:
        """How many recordings a shard has, where that is known."""
        return self._shards[shard].census if shard in self._shards else None

    def share(self, shard: str, planned: int) -> float:
        """The part of a shard that has arrived; 0 while nobody knows how much there is."""
        here = self._shards[shard]
        whole = here.census or (planned if planned > 1 else 0)
        return min(1.0, len(here.rows) / whole) if whole else 0.0

    def start_again(self) -> None:
        """Forget what a pass has told, and the pieces of recordings that are not whole: they will all come again."""
        self.outages.clear()
        self.reached.clear()
        self.withheld.clear()
        for shard in self._shards.values():
            shard.open.clear()

    def give_up(self, shard: str, losses: Mapping[int, tuple[Row, Failure]], census: int) -> Iterator[Whole]:
        """Write recordings off: each becomes a row that says why. The shard has `census` recordings."""
        here = self._shards.setdefault(shard, _Shard())
        for ordinal, (head, why) in losses.items():
            fields = {"class": why.kind, "stage": why.stage, "message": why.message}
            here.channels[ordinal] = [_channel(head)]
            here.rows[ordinal] = [self._row(ordinal, head, {"status": FAILED, "error": fields})]
            self._count(here.rows[ordinal])
        if len(here.rows) == census:
            here.census = census
            yield self._finish(shard)

    def _forget(self, name: str) -> None:
        """Rows of what is not there any more: all that is there comes with the next pass."""
        for rows in self._shards.pop(name).rows.values():
            self.arrivals.subtract(str(row["status"]) for row in rows)

    def _keep(self, shard: _Shard, key: Row, row: Row) -> None:
        ordinal, index = _number(key["ordinal"]), _number(key["index"])
        channels = shard.open.setdefault(ordinal, {})
        number = None if key["channel"] is None else _number(key["channel"])
        channel = channels.setdefault(number, _Channel(key))
        if index == 0:
            channel.head, channel.reference, channel.extra = key, _text(key["reference"]), _text(key["extra"])
        if key["last"]:
            channel.last = index
        failure = key["failure"]
        if isinstance(failure, dict):
            channel.failure = channel.failure or failure
            if _number(key["channels"]) == 1:  # it failed before its channels were known: one row for all of it
                channels = shard.open[ordinal] = {number: channel}
        channel.pieces.setdefault(index, _piece(key, row))
        expected = 1 if channel.failure and _number(channel.head["channels"]) == 1 else _number(key["channels"])
        if len(channels) == expected and all(one.whole for one in channels.values()):
            shard.rows[ordinal] = [self._made(ordinal, one) for one in channels.values()]
            shard.channels[ordinal] = list(channels)
            self._count(shard.rows[ordinal])
            del shard.open[ordinal]

    def _count(self, rows: Sequence[Row]) -> None:
        self.arrivals.update(str(row["status"]) for row in rows)

    def _made(self, ordinal: int, channel: _Channel) -> Row:
        head = {**channel.head, "reference": channel.reference, "extra": channel.extra}
        if channel.failure is not None:
            status = channel.failure["status"]
            error = {name: channel.failure[name] for name in ("class", "stage", "message")}
            return self._row(ordinal, head, {"status": status, "error": error})
        pieces = [channel.pieces[index] for index in sorted(channel.pieces)]
        made = stitched(pieces, self.making)
        shared = _number(head["channels"]) > 1  # the reference is what all of them said
        scored = {} if shared or "alignment" in made else _scored(channel.reference, made.get("text"))
        return self._row(ordinal, head, {**made, **scored})

    def _row(self, ordinal: int, head: Row, made: Row) -> Row:
        kept = {name: head.get(name) for name in ("recording_id", "uri", "channel", "reference", "extra")}
        return {"ordinal": ordinal, **kept, **made, "model": self.making.model, "run_id": self.making.run_id}

    def _finish(self, name: str) -> Whole:
        shard = self._shards.pop(name)
        self._finished.add(name)
        rows = [row for ordinal in sorted(shard.rows) for row in shard.rows[ordinal]]
        census = range(shard.census or 0)
        expected = frozenset(
            (ordinal, channel) for ordinal in census for channel in shard.channels.get(ordinal, [None])
        )
        return Whole(name, pa.Table.from_pylist(rows, GATHERED), expected)


def _scored(reference: str | None, text: object) -> Row:
    """How far a text is from what was said, where that is known and can be missed."""
    if not reference or not isinstance(text, str) or not normalise(reference):
        return {}
    rates = {"wer": word_edits, "cer": letter_edits}
    fits = {"wer": len(reference.split()) * len(text.split()), "cer": len(reference) * len(text)}
    return {name: edits(reference, text).rate for name, edits in rates.items() if fits[name] <= SCORED}


def _piece(key: Row, row: Row) -> Piece:
    words, labels = row["words"], row["labels"]
    return Piece(
        core=(_number(key["core_begin"]), _number(key["core_end"])),
        total=_number(key["total"]),
        text=_text(row["text"]),
        words=tuple(_word(word) for word in words or ()),  # type: ignore[attr-defined]
        labels={label["label"]: label["score"] for label in labels or ()},  # type: ignore[attr-defined]
        seconds=float(row["seconds"]),  # type: ignore[arg-type]
        alignment=row["alignment"],  # type: ignore[arg-type]
        vector=row["vector"],  # type: ignore[arg-type]
        weight=row["weight"] or 0,  # type: ignore[arg-type]
        file=_text(row["file"]),
        units=row["units"],  # type: ignore[arg-type]
    )


def _word(told: Row) -> Word:
    return Word(told["word"], told["start"], told["end"], told["confidence"], told["aligned"], told["missing"])  # type: ignore[arg-type]


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value


def _text(value: object) -> str | None:
    assert value is None or isinstance(value, str)
    return value


def _channel(row: Row) -> int | None:
    return None if row.get("channel") is None else _number(row["channel"])
