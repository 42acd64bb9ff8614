"""What an input turned out to be, and the rules that the user set for reading it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from pipeline.inputs.rows import Row
from pipeline.storage import Entry, StoreError

FORMATS = ("audio", "nemo", "parquet", "webdataset", "commonvoice", "librispeech", "kaldi", "lhotse", "shar")
"""What an input can be, as the user names it."""


@dataclass(frozen=True)
class PlanRules:
    """How inputs become shards."""

    format: str | None = None
    """What every input is, one of `FORMATS`; None: look."""
    shard_size: int = 1024
    """Loose recordings of a shard."""
    tar_bytes: int = 4 << 30
    """A tar larger than this is split at members into shards of about a quarter of it: one small read per member."""
    parquet_bytes: int = 512 << 20
    """A Parquet file larger than this is split into its row groups."""
    roots: tuple[str, ...] = ()
    """Folders that a manifest may point into, besides its own."""
    audio_column: str | None = None
    """The Parquet column with audio; None: look."""
    reference_column: str | None = None
    """The column or field with what was said; None: look."""
    tars: str | None = None
    """Tars of a tarred NeMo manifest, numbered like `audio__OP_0..127_CL_.tar`; None: `audio_<shard_id>.tar` beside."""
    catalogue: int = 2_000_000
    """Objects below a manifest's folder, or one of `roots`, that are listed at most to learn sizes and versions."""
    generation: int = 1
    """Number of this plan, from 1: a part of its shards' names."""


@dataclass(frozen=True)
class Found:
    """One input, recognised."""

    form: str
    """One of `FORMATS`."""
    uri: str
    """The object; a folder, for the forms that are read from one."""
    rules: PlanRules
    entries: Iterable[Entry] = field(default=(), repr=False)
    """What is in it, where it is a folder: sorted, read once."""
    tars: Mapping[int, str] = field(default_factory=dict)
    """The tars of this NeMo manifest by their numbers, where the user named them; one for all of its lines, or several
    by their `shard_id`."""
    named: bool = False
    """Whether the user named this very file, so that it is audio whatever its name ends like."""


Planner: TypeAlias = Callable[[Found], Iterator[tuple[str, Row]]]
"""Yields what the reader of each row is called (see `sources.READERS`), and the row."""


class PlanError(Exception):
    """The inputs cannot be planned: every reason, one per line."""

    def __init__(self, reasons: Iterable[str | StoreError]) -> None:
        self.reasons = tuple(reasons)
        self.problems = tuple(map(str, self.reasons))
        super().__init__("\n".join(self.problems))
