"""What runs have heard, so that what was done twice can be told: `meddle` them with "hearing is noted"."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.output import TRANSCRIPTS
from pipeline.pools import IN_FLIGHT

OPEN = IN_FLIGHT * (1 + 2)
"""Shards that a run on two cores may have open at once: what its reader and its two models have in hand."""


def heard(notes: Path) -> dict[str, int]:
    """How often each recording was heard by a run that was told to note it there; by the names of their files."""
    return dict(Counter(notes.read_text().split())) if notes.exists() else {}


def committed(output: Path) -> set[str]:
    """The recordings whose shards are written."""
    tables = [pq.read_table(path, columns=["recording_id"]) for path in (output / TRANSCRIPTS).glob("*.parquet")]
    return {Path(name).name for table in tables for name in table["recording_id"].to_pylist()}


def shards_of(names: Iterable[str], size: int) -> set[int]:
    """The shards of recordings that are named by their numbers."""
    return {int(name[:3]) // size for name in names}
