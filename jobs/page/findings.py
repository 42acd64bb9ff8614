"""What a table holds, found in one pass over its narrow columns; the few rows that are shown whole are read after it.

Memory does not grow with the table: histograms, counters, and the worst rows so far.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from jobs.page.bins import Bins, Trust, rate_bins, seconds_bins, share_bins
from pipeline.schema import FAILED, OK, SKIPPED, STATUSES
from pipeline.scoring import normalise

NARROW = (
    "recording_id", "channel", "seconds", "status", "text", "confidence", "labels", "reference", "wer", "cer",
    "error", "run_id",
)  # fmt: skip
"""The columns of the first pass: all but what holds the words."""
WORST = 10
"""Recordings that are shown with their words."""
EXAMPLES = 3
"""Recordings that are named for each way to fail."""
CLASSES = 12
"""Labels that are counted on the page."""

Row = Mapping[str, object]
Key = tuple[str, int | None]
"""A row: its recording, and its channel where channels are read apart."""


@dataclass
class Troubles:
    """Recordings that ended in the same way without a transcript."""

    kind: str
    status: str
    stage: str
    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)
    """Some of them, each with what was wrong."""


@dataclass
class Findings:
    """What was found."""

    counts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(STATUSES, 0)))
    """Rows by status."""
    seconds: float = 0.0
    """Of audio."""
    durations: Bins = field(default_factory=seconds_bins)
    confidence: Bins = field(default_factory=share_bins)
    wer: Bins = field(default_factory=rate_bins)
    cer: Bins = field(default_factory=rate_bins)
    trust: Trust = field(default_factory=Trust)
    """Of rows with a confidence and an error rate."""
    words: int = 0
    """Of the references."""
    wrong: float = 0.0
    """Of them, as the rows' error rates say."""
    labels: Counter[str] = field(default_factory=Counter)
    """The label that came first, in each row that has labels."""
    troubles: dict[tuple[str, str], Troubles] = field(default_factory=dict)
    worst: list[Key] = field(default_factory=list)
    """The rows to look at, worst first."""

    @property
    def rows(self) -> int:
        """Of the table."""
        return sum(self.counts.values())

    @property
    def error_rate(self) -> float | None:
        """Of all words that have a reference; long recordings weigh more."""
        return self.wrong / self.words if self.words else None

    @property
    def failures(self) -> list[Troubles]:
        """The most common first."""
        return sorted(self.troubles.values(), key=lambda trouble: (trouble.status != FAILED, -trouble.count))


def survey(tables: Iterable[pa.Table], run_id: str | None = None) -> Findings:
    """Look at every row, or at every row that one run wrote."""
    found, worst = Findings(), list[tuple[float, float, str, int]]()
    for whole in tables:
        table = whole if run_id is None else whole.filter(pa.compute.equal(whole["run_id"], run_id))
        _count(table, found)
        for bad in _badness(table):
            (heapq.heappush if len(worst) < WORST else heapq.heappushpop)(worst, bad)
    found.worst = [(name, None if channel < 0 else channel) for *_, name, channel in sorted(worst, reverse=True)]
    return found


def numbers(table: pa.Table, column: str) -> npt.NDArray[np.float64]:
    """A column with NaN where there is nothing."""
    return np.asarray(table[column].cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _count(table: pa.Table, found: Findings) -> None:
    found.counts.update(table["status"].to_pylist())
    seconds, wer = numbers(table, "seconds"), numbers(table, "wer")
    found.seconds += float(np.nansum(seconds))
    found.durations.take(seconds)
    found.wer.take(wer)
    found.cer.take(numbers(table, "cer"))
    heard = table.filter(pa.compute.equal(table["status"], OK))
    found.confidence.take(numbers(heard, "confidence"))
    found.labels.update(labels[0]["label"] for labels in heard["labels"].to_pylist() if labels)
    words = np.array([len(normalise(reference or "").split()) for reference in table["reference"].to_pylist()], float)
    scored = np.isfinite(wer)
    found.words += int(words[scored].sum())
    found.wrong += float((words * wer)[scored].sum())
    found.trust.take(words, numbers(table, "confidence"), wer)
    for row in _unread(table):
        _trouble(row, found)


def _unread(table: pa.Table) -> Iterator[Row]:
    lost = table.filter(pa.compute.is_in(table["status"], pa.array([FAILED, SKIPPED])))
    yield from lost.select(["recording_id", "status", "error"]).to_pylist()


def _trouble(row: Row, found: Findings) -> None:
    error, status = row["error"], str(row["status"])
    if not isinstance(error, dict):
        return
    kind = str(error["class"])
    trouble = found.troubles.setdefault((status, kind), Troubles(kind, status, str(error["stage"])))
    trouble.count += 1
    if len(trouble.examples) < EXAMPLES:
        trouble.examples.append((str(row["recording_id"]), str(error["message"])))


def _badness(table: pa.Table) -> Iterator[tuple[float, float, str, int]]:
    """The rows that may be the worst: by error rate, then by how unsure the model was of those without one."""
    wer, confidence = numbers(table, "wer"), numbers(table, "confidence")
    rate = np.where(np.isfinite(wer), wer, 0.0)
    doubt = np.where(np.isfinite(confidence), 1.0 - confidence, 0.0)
    lost = pa.compute.is_in(table["status"], pa.array([FAILED, SKIPPED])).to_numpy(zero_copy_only=False)
    bad = np.flatnonzero(~lost & ((rate > 0) | (doubt > 0)))
    order = bad[np.lexsort((doubt[bad], rate[bad]))[::-1][:WORST]]
    for row in table.take(order).select(["recording_id", "channel"]).to_pylist():
        place = order[0]
        order = order[1:]
        channel = row["channel"]
        yield float(rate[place]), float(doubt[place]), row["recording_id"], -1 if channel is None else channel
