"""Figures of SIZING.md that follow from the code's own constants, counted anew."""

import os
import re
from pathlib import Path

import pytest

from pipeline.lease import BEAT, SOON
from pipeline.stores.place import Entry, Part
from pipeline.stores.stream import LARGEST_WINDOW, buffered

PAGE = Path(__file__).parents[2] / "infra" / "SIZING.md"
READ, WRITE = 0.0004 / 1000, 0.005 / 1000
"""US dollars a request."""
AUDIO, TAR = 60e12, 10**9
"""Bytes: a million hours of 16 kHz FLAC, and one tar."""
PLAN = 3
"""Reads of a shard's place in the plan: its size, its footer, its rows."""
HOURS = 100
"""Of a run: a million hours of audio, on ten GPUs that hear a thousand in one."""


class Nothing:
    """A store whose objects are zeros, and who counts what it is asked."""

    swaps = True

    def __init__(self) -> None:
        self.asked = 0

    def head(self, path: str) -> Entry:
        self.asked += 1
        return Entry(path, TAR, "v1")

    def part(self, path: str, begin: int, end: int, version: str | None) -> Part:
        self.asked += 1
        return Part(bytes(min(end, TAR) - begin), TAR, "v1")


def row(title: str) -> list[str]:
    (line,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {title} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_what_tars_cost_is_what_their_reader_asks_for() -> None:
    store = Nothing()
    file = buffered(store, "bucket/part.tar", 0, None)
    file.seek(0, os.SEEK_END)  # a walk through a tar begins with where it ends
    file.seek(0)
    while file.read(1 << 20):
        pass
    tars = AUDIO / TAR
    reads = tars * (store.asked + PLAN)
    _, each, million, _ = row("reads of a bucket, tars of 1 GB")
    window = LARGEST_WINDOW >> 20
    assert (
        each == f"{tars / 1e6:.2f} tars: for each {store.asked} reads, of {window} MiB at most, and {PLAN} of the plan"
    )
    assert million == f"{tars:,.0f} tars, {reads / 1e6:.2f} million reads: {reads * READ:.2f} USD"


def test_what_heartbeats_cost_is_how_often_they_beat() -> None:
    _, each, million, _ = row("the run's heartbeat in a bucket")
    few, many = 3600 / BEAT, 3600 / SOON
    assert each.startswith(f"a read and a write every {BEAT:.0f} s, and while results arrive every {SOON} s at most")
    assert each.endswith(f"{few:,.0f} to {many:,.0f} of each")
    least, most = (HOURS * beats * (READ + WRITE) for beats in (few, many))
    told = f"{HOURS * few:,.0f} to {HOURS * many:,.0f} of each, {least:.2f} to {most:.2f} USD"
    assert million == f"ten GPUs of G = 1000 for {HOURS} hours: {told}"


@pytest.mark.parametrize(
    ("title", "price"), [("reads of a bucket, loose files of 10 s", READ), ("writes of a bucket", WRITE)]
)
def test_the_prices_are_those_that_are_reckoned_with(title: str, price: float) -> None:
    told = row(title)[2]
    assert f"{1000 * price:.4f}".rstrip("0") + " USD a thousand" in told
    found = re.match(r"([\d,]+)( million)?\D+([\d.]+) USD at", told)
    assert found, told
    requests = int(found[1].replace(",", "")) * (10**6 if found[2] else 1)
    assert float(found[3]) == pytest.approx(requests * price, abs=0.005)
