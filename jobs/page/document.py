"""The page: everything that was found, poured into one template that escapes all it is given.

Nothing in it is fetched: style, script, drawings and audio are inside. A content policy names the one script that may
run, so that a transcript could not run one even if escaping failed.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from jobs.page import charts
from jobs.page.comparison import Compared
from jobs.page.findings import CLASSES, Findings
from jobs.page.history import Run
from jobs.page.listening import Sound
from jobs.page.timeline import Line, Spot
from jobs.pasting import query
from jobs.table import clock
from pipeline.output import Identity
from pipeline.tally import per_hour

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Shown:
    """A recording with its words."""

    recording_id: str
    channel: int | None
    seconds: float
    text: str
    reference: str | None
    wer: float | None
    confidence: float | None
    line: Line
    spots: tuple[Spot, ...]
    compared: Compared
    sound: Sound

    @property
    def whole(self) -> bool:
        """Whether all of it is shown."""
        return self.line.begin == 0 and self.line.end >= self.seconds - 0.01


@dataclass(frozen=True)
class Contents:
    """All that a page tells."""

    output: str
    only: str | None
    """The id of the run whose rows they are; None for the whole table."""
    note: str
    """That the output is not finished, where it is not."""
    identity: Identity
    findings: Findings
    history: Sequence[Run]
    """Runs, oldest first."""
    run: Run | None
    """The run whose course is drawn."""
    shown: Sequence[Shown]

    @property
    def audible(self) -> bool:
        """Whether anything can be played."""
        return any(one.sound.source for one in self.shown)

    @property
    def scope(self) -> str:
        """Which rows they are."""
        return "the whole table" if self.only is None else f"written by run {self.only}"


@dataclass(frozen=True)
class Figure:
    """A number that a reader looks for first."""

    name: str
    value: str
    note: str = ""
    alarm: bool = False


@dataclass(frozen=True)
class Chart:
    """A drawing and what it says."""

    title: str
    drawing: Markup
    note: str


def render(contents: Contents) -> str:
    """The page as HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                              loader=FileSystemLoader(HERE))  # fmt: skip
    environment.filters |= {"clock": clock, "money": _money}
    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        contents=contents,
        findings=contents.findings,
        figures=list(_figures(contents)),
        course=list(_course(contents.run)),
        spread=list(_spread(contents.findings)),
        labels=contents.findings.labels.most_common(CLASSES),
        query=query(contents.output),
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        style=Markup((HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704  # ours, not a user's
        script=Markup(script),  # noqa: S704
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; media-src data:",
    )


def _figures(contents: Contents) -> Iterator[Figure]:
    found, run = contents.findings, contents.run
    of_run = "" if run is None or contents.only else "; of the newest run"
    yield Figure("Rows", f"{found.rows:,}", contents.scope)
    yield Figure("Audio", _amount(found.seconds), f"{found.durations.mean:.1f} s on average")
    if run is not None:
        yield Figure(
            "Speed", f"{run.speed:,.1f}\u00d7", f"real time, in {clock(run.wall_seconds)}, set-up included{of_run}"
        )
    if found.error_rate is not None:
        yield Figure("Word error rate", f"{found.error_rate:.1%}", f"{found.words:,} words have a reference")
    if found.confidence.count:
        yield Figure("Confidence", f"{found.confidence.mean:.2f}", "on average, from 0 to 1")
    if run is not None:
        idle = "" if run.idle is None else f"; models waited {run.idle:.0%} of their time"
        yield Figure("Padding", f"{run.padding:.1%}", f"of what models heard{idle}{of_run}")
        if run.cost is not None:
            hourly = per_hour(run.cost, run.audio_seconds) or 0.0
            note = f"{hourly:.3g} for an hour of audio, in the given prices' unit{of_run}"
            yield Figure("Cost", _money(run.cost), note)
    failed = found.counts["failed"]
    yield Figure("Failed", f"{failed:,}", "each row says why" if failed else "nothing", alarm=failed > 0)


def _money(cost: float) -> str:
    """With the digits that say something."""
    return f"{cost:,.2f}" if cost >= 1 else f"{cost:.2g}"


def _amount(seconds: float) -> str:
    """In the largest unit that it fills."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} s"


def _course(run: Run | None) -> Iterator[Chart]:
    """How the run went, where it lasted long enough to draw."""
    if run is None or not run.charted:
        return
    edges, grown = charts.steps(run.course)
    width = np.diff(edges)
    drawing = charts.speed_chart(edges, grown["heard"] / width)
    started = f"Audio heard per second, from the first batch on, {clock(edges[0])} after the start."
    yield Chart("Speed over time", _drawn(drawing), started)
    spent = np.maximum(grown["idle"] + grown["busy"], 1e-9)
    readers = np.clip(1 - grown["reading"] / (width * max(1, run.readers)), 0, 1)
    drawing = charts.idle_chart(edges, np.clip(grown["idle"] / spent, 0, 1), readers)
    note = "Time in which models waited for batches, and readers for room to put one. A batch counts when it is done."
    yield Chart("Idle share of the pools", _drawn(drawing), note)


def _spread(found: Findings) -> Iterator[Chart]:
    """How the rows differ from one another."""
    if found.durations.count:
        note = f"{found.durations.count:,} recordings, {found.durations.mean:.1f} s on average."
        yield Chart("Length", _drawn(charts.durations_chart(found.durations)), note)
    if found.confidence.count:
        note = f"Of {found.confidence.count:,} rows with words, {found.confidence.mean:.2f} on average."
        yield Chart("Confidence", _drawn(charts.confidence_chart(found.confidence)), note)
    for title, name, bins in (("Word error rate", "wer", found.wer), ("Character error rate", "cer", found.cer)):
        if bins.count:
            note = f"Of {bins.count:,} rows with a reference; {bins.counts[0] / bins.count:.0%} are exactly right."
            yield Chart(title, _drawn(charts.rates_chart(name, bins)), note)
    if found.trust.words.any():
        off = f"it is off by {found.trust.error:.1%} on average"
        note = f"Right words by how sure the model was of their recording: {off}."
        yield Chart("Whether confidence is true", _drawn(charts.trust_chart(found.trust)), note)


def _drawn(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704  # drawings hold no text of the user's
