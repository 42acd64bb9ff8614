"""Every query of the dashboard names a gauge that exists, by labels that it has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.gauges import GAUGES, Gauge

BOARD = json.loads((Path(__file__).parents[2] / "infra" / "dashboards" / "stenopool.json").read_text())
SERIES = re.compile(r"ray_(stenopool_\w+?)(_bucket)?\b(?:\{([^}]*)\})?")
BY = re.compile(r"by \(([^)]*)\)")
FUNCTIONS = {"sum", "max", "rate", "histogram_quantile", "by"}


def queries() -> Iterator[str]:
    for panel in BOARD["panels"]:
        assert panel["description"] and panel["targets"]
        yield from (target["expr"] for target in panel["targets"])


def unknown(query: str) -> list[str]:
    """What a query names that is not there."""
    known = {gauge.name: gauge for gauge in GAUGES}
    found = list(SERIES.finditer(query))
    gauges = [known.get(series[1]) for series in found]
    wrong = [series[0] for series, gauge in zip(found, gauges, strict=True) if not fits(gauge, series)]
    labels = {"run", "le", *(gauge.tag for gauge in gauges if gauge is not None)}
    wrong += [label for group in BY.findall(query) for label in re.split(r", *", group) if label not in labels]
    rest = BY.sub(" ", SERIES.sub(" ", query))
    return wrong + [word for word in re.findall(r"(?<![$\w])[a-z_]+(?=\s*\()|ray_\w+", rest) if word not in FUNCTIONS]


def fits(gauge: Gauge | None, series: re.Match[str]) -> bool:
    if gauge is None or (series[2] is not None) != (gauge.kind == "spread"):
        return False
    return all(label in {"run", gauge.tag} for label in re.findall(r"(\w+)\s*[=!]~?", series[3] or ""))


@pytest.mark.parametrize("query", list(queries()))
def test_a_query_names_what_exists(query: str) -> None:
    assert SERIES.search(query)
    assert not unknown(query)
    assert query.count("(") == query.count(")")


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("sum(ray_stenopool_recording_total)", "ray_stenopool_recording_total"),
        ("ray_other_total", "ray_other_total"),
        ('sum(ray_stenopool_recordings_total{state="x"})', 'ray_stenopool_recordings_total{state="x"}'),
        ("sum by (status) (ray_stenopool_batches_total)", "status"),
        ("ray_stenopool_batches_bucket", "ray_stenopool_batches_bucket"),
        ("ray_stenopool_commit_seconds", "ray_stenopool_commit_seconds"),
        ("averge(ray_stenopool_batches_total)", "averge"),
    ],
)
def test_a_query_that_is_wrong_is_found(query: str, wrong: str) -> None:
    assert wrong in unknown(query)


def test_every_gauge_is_on_the_board() -> None:
    shown = {series[1] for query in queries() for series in SERIES.finditer(query)}
    assert shown == {gauge.name for gauge in GAUGES}
