"""Charts as SVG that takes its colours and its letters from the page around it.

matplotlib writes colours as numbers: each role has a number of its own here, which is then replaced by a CSS variable,
so that one drawing is right in light and in dark. No text of the user's ever enters a drawing. Who cannot see one is
told in a line what it shows.
"""

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from matplotlib.typing import RcKeyType

from jobs.page.bins import Bins, Floats, Trust

INK, FAINT, FIRST, SECOND = "#010203", "#010204", "#010205", "#010206"
ROLES = {INK: "var(--soft)", FAINT: "var(--line)", FIRST: "var(--first)", SECOND: "var(--second)"}
STYLE: Mapping[RcKeyType, str | float | bool | None] = {
    "svg.fonttype": "none",
    "svg.id": None,
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "legend.frameon": False,
}
WIDTH, HEIGHT = 4.7, 2.15
"""Inches, of 72 CSS pixels: about what a phone is wide, so letters keep their size there."""


def speed_chart(seconds: Floats, speed: Floats) -> str:
    """Times real time, over the course of a run; `seconds` are the edges of the steps."""
    with _drawing("speed") as (axes, done):
        axes.stairs(speed, seconds, color=FIRST, linewidth=1.8, fill=False, baseline=None)
        axes.stairs(speed, seconds, color=FIRST, alpha=0.14, fill=True)
        axes.set_ylim(0, max(1.0, 1.15 * float(speed.max())))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.3g}\u00d7"))
        _time(axes, seconds)
        return done(f"from {speed.min():,.3g} to {speed.max():,.3g} times real time")


def idle_chart(seconds: Floats, models: Floats, readers: Floats) -> str:
    """The part of their time that models and readers waited."""
    with _drawing("idle") as (axes, done):
        axes.stairs(models, seconds, color=FIRST, linewidth=1.8, baseline=None, label="models")
        axes.stairs(readers, seconds, color=SECOND, linewidth=1.8, linestyle="--", baseline=None, label="readers")
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, 0))
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=2, handlelength=1.8, borderaxespad=0.0)
        _time(axes, seconds)
        spans = [f"{part.min():.0%} to {part.max():.0%}" for part in (models, readers)]
        return done(f"models waited {spans[0]} of their time, readers {spans[1]}")


def durations_chart(bins: Bins) -> str:
    """How long recordings are."""
    return _bars("durations", bins, lambda place: _short_seconds(bins.edges[place]), -0.07)


def confidence_chart(bins: Bins) -> str:
    """How sure the model was of recordings."""
    return _bars("confidence", bins, lambda place: f"{bins.edges[place]:.2g}", -0.07)


def rates_chart(name: str, bins: Bins) -> str:
    """How wrong recordings are; what is exactly right, and what is wrong more than once a word, by themselves."""
    told = ["0%", *(f"<{edge:.0%}" for edge in bins.edges[2:-2]), "100%", ">100%"]
    return _bars(name, bins, lambda place: told[place], 0.43)


def trust_chart(trust: Trust) -> str:
    """How right words are over how sure the model was of them, beside the line on which both are the same."""
    sure, right = trust.points
    with _drawing("trust") as (axes, done):
        axes.plot([0, 1], [0, 1], color=SECOND, linewidth=1.2, linestyle="--", label="as right as it is sure")
        axes.plot(sure, right, color=FIRST, linewidth=1.8, marker="o", markersize=5, label="what it is")
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.05)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, 0))
        axes.legend(loc="upper left", handlelength=1.8, borderaxespad=0.2)
        return done(", ".join(f"{part:.0%} right at {said:.2f}" for part, said in zip(right, sure, strict=True)))


def _bars(name: str, bins: Bins, told: Callable[[int], str], shift: float) -> str:
    """The bins that hold something, each told by its number; `shift` is where along a bar that is written."""
    used = bins.used
    counts = bins.counts[used]
    with _drawing(name) as (axes, done):
        axes.bar(range(len(counts)), counts, width=0.86, color=FIRST, align="edge")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        last = len(counts) + (0 if shift > 0 else 1)
        places = range(0, last, max(1, -(-last // 9)))
        axes.set_xticks([place + shift for place in places], [told(used.start + place) for place in places])
        axes.set_xlim(-0.3, max(len(counts), 6))
        first, top, end = (told(used.start + int(place)) for place in (0, counts.argmax(), len(counts) - 1))
        return done(f"bars from {first} to {end}, the highest at {top}: {counts.max():,}")


def _short_seconds(value: float) -> str:
    """3 s, 2 min, 1.5 h."""
    for size, unit in ((3600, "h"), (60, "min")):
        if value >= size:
            return f"{value / size:.2g} {unit}"
    return f"{value:.2g} s"


def _time(axes: Axes, seconds: Floats) -> None:
    size, unit = next(((s, u) for s, u in ((7200, "h"), (180, "min")) if seconds[-1] >= s), (1, "s"))
    size = {"h": 3600, "min": 60, "s": 1}[unit]
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 3, 5, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / size:g} {unit}"))
    axes.set_xlim(float(seconds[0]), float(seconds[-1]))


@contextmanager
def _drawing(name: str) -> Iterator[tuple[Axes, Callable[[str], str]]]:
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes = figure.subplots()
        yield axes, lambda says: _svg(figure, name, says)


def _svg(figure: Figure, name: str, says: str) -> str:
    """The drawing without its prologue, with ids that no other drawing of the page has, and what it says."""
    sink = io.StringIO()
    figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = sink.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
    for number, variable in ROLES.items():
        svg = svg.replace(number, variable)
    head = rf'<svg \1 role="img" aria-label="{escape(says)}">'
    return re.sub(r'<svg [^>]*?(viewBox="[^"]+")[^>]*>', head, svg, count=1)


def steps(course: Sequence[Mapping[str, float]], most: int = 40) -> tuple[Floats, dict[str, Floats]]:
    """Equal steps of a run's course, and by how much each sum grew in each of them."""
    at = np.array([sample["elapsed"] for sample in course])
    edges = np.linspace(at[0], at[-1], min(most, len(at) - 1) + 1)
    names = [name for name in course[0] if name != "elapsed"]
    return edges, {name: np.diff(np.interp(edges, at, [sample[name] for sample in course])) for name in names}
