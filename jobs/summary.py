"""What a person is told when a run is over, in plain characters."""

from collections.abc import Iterator, Mapping

from jobs.outcome import Outcome, Shown
from jobs.pasting import one_liner
from jobs.table import aligned, clock
from jobs.work import Report

__all__ = ["placed", "shortened", "summary"]

HEARD: Mapping[str, str] = {"Label": "labels", "Embed": "embedding", "Units": "units"}
"""The columns that jobs fill which fill no text."""
WIDEST = 72
"""Characters of a text that are shown."""
NOTICED = 0.005
"""The part by which two lengths differ visibly."""


def summary(report: Report, outcome: Outcome) -> str:
    """First transcripts, counts, failures, and where to go on."""
    return "\n\n".join([part for part in _parts(report, outcome) if part])


def shortened(text: str) -> str:
    """A text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= WIDEST else line[: WIDEST - 3] + "..."


def placed(shown: Shown) -> tuple[str, str, str]:
    """The recording, with its channel, and from when to when something is said in it."""
    name = shown.recording_id if shown.channel is None else f"{shown.recording_id} #{shown.channel}"
    return name, _time(shown.start, 0.0), _time(shown.end, shown.seconds)


def _parts(report: Report, outcome: Outcome) -> Iterator[str]:
    heard = HEARD.get(report.job, "text")
    yield _transcripts(outcome, heard)
    yield _counts(report, outcome)
    yield _failed(outcome)
    where = f"{report.output.rstrip('/')}/transcripts"
    yield f"The table lies in {where}, one Parquet file per shard:\n  {one_liner(report.output, heard)}"


def _transcripts(outcome: Outcome, heard: str) -> str:
    if not outcome.first:
        return ""
    rows = [(*placed(shown), shortened(shown.text)) for shown in outcome.first]
    return aligned([("recording", "from s", "to s", heard), *rows])


def _time(seconds: float | None, otherwise: float) -> str:
    """Where the model gives no times, the recording's own."""
    return f"{otherwise if seconds is None else seconds:.2f}"


def _counts(report: Report, outcome: Outcome) -> str:
    if not report.shards:
        head = "Nothing was left to do."
    else:
        rate = report.audio_seconds / report.wall_seconds
        head = (
            f"{clock(report.audio_seconds)} of audio in {clock(report.wall_seconds)}, {rate:,.1f} times real time, "
            f"{report.padding:.1%} padding."
            f"{_cost(report)}{_foretold(report)}{_overlaps(report)}"
        )
    counts = ", ".join(f"{count:,} {status}" for status, count in outcome.counts.items() if count)
    return f"{head}\nThe table has {sum(outcome.counts.values()):,} rows: {counts or 'none'}."


def _cost(report: Report) -> str:
    return "" if report.cost is None else f" It cost {report.cost:.4g}, {report.hourly_cost or 0:.4g} an hour of audio."


def _overlaps(report: Report) -> str:
    """Why what was heard is more than what there is, as far as it shows."""
    if report.heard_seconds < (1 + NOTICED) * report.audio_seconds:
        return ""
    return f"\nModels heard {clock(report.heard_seconds)}, with overlaps at cuts and what had to be heard again."


def _foretold(report: Report) -> str:
    if report.forecast is None or not report.forecast.whole:
        return ""
    foretold = report.forecast.forecast
    cost = "" if foretold.cost is None else f" and {foretold.cost:.4g}"
    return f" Foretold were {clock(foretold.wall_seconds)}{cost}."


def _failed(outcome: Outcome) -> str:
    if not outcome.failures:
        return ""
    rows = [(f.kind, str(f.count), f.recording_id, shortened(f.message)) for f in outcome.failures]
    return aligned([("failed as", "rows", "for example", "because"), *rows])
