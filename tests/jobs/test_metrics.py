"""A run on a real engine, watched as Prometheus would: what is scraped is what the run did."""

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from jobs.demo.__main__ import CORPUS, MODEL
from pipeline import gauges
from pipeline.gauges import GAUGES
from tests.faults.runs import MEDDLING

pytestmark = pytest.mark.ray
ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^ray_(stenopool_\w+)\{(.*)\} (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
NEEDED = ("opencensus", "prometheus_client", "opentelemetry")
"""What the engine serves metrics with: they come with the extra `metrics`."""


@pytest.fixture(autouse=True)
def served() -> None:
    if all(importlib.util.find_spec(name) for name in NEEDED):
        return
    required = "metrics" in os.environ.get("STENOPOOL_REQUIRE", "").split(",")
    (pytest.fail if required else pytest.skip)("the engine serves no metrics here: pip install -e '.[metrics]'")


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


Series = tuple[str, Mapping[str, str], float]


def scrape(port: int) -> Iterator[Series]:
    """Ours among the series that stand at the port; nothing while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
            text = page.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return
    for line in text.splitlines():
        if found := LINE.match(line):
            yield found[1], dict(LABEL.findall(found[2])), float(found[3])


def total(series: list[Series], gauge: gauges.Gauge, ending: str = "") -> float:
    return sum(value for name, _, value in series if name == gauge.name + ending)


def test_what_is_scraped_is_what_the_run_did(tmp_path: Path) -> None:
    port = free_port()
    inputs = [CORPUS / form for form in ("loose", "broken")]
    words = ["transcribe", *inputs, "-o", tmp_path / "out", "-m", MODEL, "--shard-size", 16, "--window", 16]
    more = ["--batch-seconds", 8, "--cpus", 2, "--price", "cpu=3.6", "--metrics-port", port]
    asked = [sys.executable, "-m", "jobs.cli", *map(str, [*words, *more])]
    often = {**os.environ, "RAY_metrics_report_interval_ms": "300"}
    often |= {"PYTHONPATH": f"{MEDDLING}{os.pathsep}{ROOT}", "MEDDLE": "memory is short"}
    with open(tmp_path / "said", "w") as said:
        run = subprocess.Popen(asked, cwd=ROOT, env=often, stdout=said, stderr=said)
        latest: list[Series] = []
        until = time.monotonic() + 240
        while run.poll() is None and time.monotonic() < until:
            latest = list(scrape(port)) or latest
            time.sleep(0.2)
        if run.poll() is None:
            run.kill()
        assert run.wait() == 1, (tmp_path / "said").read_text()
    names = {re.sub(r"_(bucket|sum|count)$", "", name) for name, _, _ in latest}
    assert names == {gauge.name for gauge in GAUGES} - {gauges.RETRIES.name}, "nothing was asked for twice"
    assert total(latest, gauges.SPLITS) >= 1, "each model had a batch that its memory did not hold"
    assert len({labels["run"] for _, labels, _ in latest}) == 1
    statuses = {labels["status"]: value for name, labels, value in latest if name == gauges.RECORDINGS.name}
    assert statuses.keys() <= {"ok", "empty", "failed"} and 0 < sum(statuses.values()) <= 170
    audio, heard, room = (total(latest, each) for each in (gauges.AUDIO, gauges.HEARD, gauges.ROOM))
    assert 0 < audio <= 1.1 * heard and heard <= room < 3 * 18 * 60
    assert total(latest, gauges.BUSY) > 0
    assert total(latest, gauges.BATCHES) >= 10
    assert 1 <= total(latest, gauges.COMMIT, "_count") == total(latest, gauges.SHARDS)
    assert 0 < total(latest, gauges.SHARE) <= 1
    assert 0 < total(latest, gauges.COST) < 0.3, "a node at 3.6 an hour costs 0.001 a second"
    (record,) = (json.loads(path.read_text()) for path in (tmp_path / "out" / "runs").glob("*.json"))
    assert record["passes"] == 1
    assert all(value <= record["counts"][status] for status, value in statuses.items()), (
        "the last moment is not scraped"
    )
    for gauge, came in (
        (gauges.BATCHES, "batches"),
        (gauges.SHARDS, "shards"),
        (gauges.COST, "cost"),
        (gauges.SPLITS, "splits"),
    ):
        assert total(latest, gauge) <= record[came] * 1.000_001, came
