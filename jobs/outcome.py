"""What lies in an output after a run: counts from every file's footer, and a few rows to look at."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, islice

import pyarrow.compute as pc

from pipeline.commit import Footer, read_footers
from pipeline.latest import by_shard, latest, superseded
from pipeline.output import done
from pipeline.schema import FAILED, OK, STATUSES
from pipeline.storage import Store

SHOWN = 5
"""Transcripts that are shown."""
SEEN = ["recording_id", "channel", "seconds", "status", "text", "segments", "labels", "embedding", "units"]
"""Columns that are read to show a row."""
MANY_UNITS = 40
"""Units of a recording that are shown; a line shortens them."""
SEARCHED = 200
"""Files with failures that are opened to name them: enough for every class that is common."""


@dataclass(frozen=True)
class Shown:
    """A transcript to look at."""

    recording_id: str
    channel: int | None
    seconds: float
    start: float | None
    """Of the first word; None where the model gives no times."""
    end: float | None
    """Of the last word."""
    text: str


@dataclass(frozen=True)
class Failures:
    """Recordings that failed in the same way."""

    kind: str
    count: int
    recording_id: str
    """One of them."""
    message: str
    """What was wrong with it."""


@dataclass(frozen=True)
class Outcome:
    """The whole table, whichever runs wrote it."""

    counts: Mapping[str, int]
    """Rows by status."""
    seconds: float
    """Of audio."""
    shards: int
    first: tuple[Shown, ...]
    failures: tuple[Failures, ...]
    """By class, most common first."""


def look(store: Store) -> Outcome:
    """Read what an output holds: footers where each row stands, and rows where later ones took some places."""
    shards = list(done(store))
    footers = read_footers(store, shards)
    counts, seconds = standing(store) if superseded(store) else _counted(footers.values())
    return Outcome(
        counts=counts,
        seconds=seconds,
        shards=len(shards),
        first=tuple(_first(store, footers)),
        failures=tuple(_failures(store, {s for s, f in footers.items() if f.counts.get(FAILED)})),
    )


def _counted(footers: Iterable[Footer]) -> tuple[Mapping[str, int], float]:
    found, seconds = Counter(dict.fromkeys(STATUSES, 0)), 0.0
    for footer in footers:
        found.update(footer.counts)
        seconds += footer.seconds
    return dict(found), seconds


def standing(store: Store) -> tuple[Mapping[str, int], float]:
    """Rows by status, and seconds of audio, of what later generations have not replaced."""
    found, seconds = Counter(dict.fromkeys(STATUSES, 0)), 0.0
    for table in latest(store, ["status", "seconds"]):
        found.update(table["status"].to_pylist())
        seconds += pc.sum(table["seconds"]).as_py() or 0.0
    return dict(found), seconds


def _first(store: Store, footers: Mapping[str, Footer]) -> Iterator[Shown]:
    """Of a few shards of each generation, with which their names begin: of the newest, all rows stand."""
    good = (shard for shard, footer in footers.items() if footer.counts.get(OK))
    of_each = groupby(good, lambda shard: shard.partition("-")[0])
    few = {shard for _, group in of_each for shard in islice(group, SHOWN)}
    left = SHOWN
    for _, table in by_shard(store, SEEN, few):
        fine = table.filter(pc.equal(table["status"], OK)).slice(0, left)
        yield from map(shown, fine.to_pylist())
        left -= len(fine)
        if not left:
            return


def shown(row: Mapping[str, object]) -> Shown:
    """What of a row is worth a line."""
    segments = row["segments"]
    words = [word for part in segments for word in part["words"] or ()] if isinstance(segments, list) else []
    start, end = (words[0]["start"], words[-1]["end"]) if words else (None, None)
    channel = row["channel"] if isinstance(row["channel"], int) else None
    return Shown(str(row["recording_id"]), channel, float(str(row["seconds"])), start, end, _said(row))


def _said(row: Mapping[str, object]) -> str:
    """The text, or what stands for it."""
    labels, vector, units = row["labels"], row["embedding"], row["units"]
    if isinstance(units, list):
        return " ".join(map(str, units[:MANY_UNITS]))
    if isinstance(vector, list):
        return f"{len(vector):,} numbers: {', '.join(f'{value:.3f}' for value in vector[:4])}, ..."
    if isinstance(labels, list):
        return ", ".join(f"{each['label']} {each['score']:.2f}" for each in labels)
    return str(row["text"])


def _failures(store: Store, shards: Collection[str]) -> Iterator[Failures]:
    """Of the first of these shards."""
    if not shards:  # what is superseded need not be known
        return
    counts: Counter[str] = Counter()
    examples: dict[str, tuple[str, str]] = {}
    searched: set[str] = set()
    for shard, table in by_shard(store, ["recording_id", "status", "error"], shards):
        for row in table.filter(pc.equal(table["status"], FAILED)).to_pylist():
            searched.add(shard)
            counts[row["error"]["class"]] += 1
            examples.setdefault(row["error"]["class"], (row["recording_id"], row["error"]["message"]))
        if len(searched) > SEARCHED:
            break
    yield from (Failures(kind, count, *examples[kind]) for kind, count in counts.most_common())
