"""What each job can be told: a frozen dataclass per job, the same in Python, on the command line and in YAML.

Nothing heavy is imported here, so that `--help` is quick.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from itertools import takewhile
from typing import Annotated

from cyclopts import Parameter

CHANNELS = ("mix", "first", "each")
CUTS = ("quiet", "silero", "none")
DTYPES = ("float32", "bfloat16")
DEVICES = ("cpu", "cuda")

PRICE = re.compile(r"\s*([^=]*[^=\s])\s*=\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*")
"""A kind of node, and what its hour costs."""
MANY = Parameter(negative="")
"""An option that may be named several times, and not emptied."""
SWITCH = Parameter(negative="", show_default=False)
"""An option that is off unless it is named."""


@dataclass(frozen=True)
class Manner:
    """How a command goes about its work, whatever the work is."""

    _: KW_ONLY
    config: str | None = None
    """A YAML file with these options, one `name: value` a line; what is typed comes first."""
    dry_run: Annotated[bool, SWITCH] = False
    """Check everything and say what is planned, without starting anything."""
    as_json: Annotated[bool, SWITCH, Parameter("--json")] = False
    """Print JSON for a program instead of tables for people."""
    debug: Annotated[bool, SWITCH] = False
    """Show the traceback of what went wrong."""
    log: str | None = None
    """What is said on stderr: `plain` for people, or `json`, an object a line with run, shard and recording; without
    it, what the environment's STENOPOOL_LOG says."""


AS_USUAL = Manner()


@dataclass(frozen=True)
class Verify:
    """What to check."""

    output: str
    """The folder or URL that a job wrote."""


@dataclass(frozen=True)
class Work:
    """What every job that hears audio is told."""

    inputs: Annotated[tuple[str, ...], MANY]
    """Folders, files, globs, manifests, tars, Parquet files; local paths or URLs."""
    output: Annotated[str, Parameter(alias="-o")]
    """The folder or URL that the table is written under. A run that was interrupted goes on there."""
    model: Annotated[str, Parameter(alias="-m")]
    """A checkpoint: a folder, s3://bucket/folder or hf://org/name@revision."""
    _: KW_ONLY
    format: str | None = None
    """What the inputs are, where looking at them is not enough: audio, nemo, parquet, webdataset, commonvoice,
    librispeech, kaldi, lhotse or shar."""
    channels: str = "mix"
    """`mix`, `first`, or `each` for a row per channel."""
    cut: str = "quiet"
    """Where long recordings are cut: `quiet`, `silero`, or `none`."""
    dtype: str = "float32"
    """`float32` or `bfloat16`."""
    device: str = "cpu"
    """`cpu` or `cuda`."""
    window: int = 1024
    """Segments that are sorted together into batches."""
    batch_seconds: float | None = None
    """What a batch may hold, in padded seconds; by default 160 on a GPU and 40 on CPUs."""
    shard_size: int = 1024
    """Loose recordings of a shard."""
    address: str | None = None
    """A Ray cluster to run on; without it, one is started on this machine."""
    cpus: int | None = None
    """Cores of this machine to use; without it, all."""
    pool: str | None = None
    """Models that hear at once: `2`, or `1-8` to grow and shrink with the nodes and the work; without it, one on each
    GPU, or one for every core that has the memory for it."""
    price: Annotated[tuple[str, ...], MANY] = ()
    """What an hour of a node costs, by its kind: cpu=0.04, gpu=2.5, or the name of its group. In YAML a mapping."""
    metrics_port: int | None = None
    """Where this machine's own cluster offers its metrics to Prometheus; without it, anywhere free."""

    @property
    def decisive(self) -> Mapping[str, str | int | float | bool | None]:
        """The options that change words."""
        return {"channels": self.channels, "cut": self.cut, "dtype": self.dtype}

    @property
    def files(self) -> Mapping[str, str]:
        """The options that name files: what is in them changes words, and not where they lie."""
        return {}

    @property
    def written(self) -> str | None:
        """The language of the texts, where it is known."""
        return None

    @property
    def bounds(self) -> tuple[int, int] | None:
        """The fewest and the most models, where they are given."""
        found = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", self.pool or "")
        return None if found is None else (int(found[1]), int(found[2] or found[1]))

    @property
    def prices(self) -> dict[str, float]:
        """Per hour of a node, by its kind."""
        found = [PRICE.fullmatch(written) for written in self.price]
        return {price[1]: float(price[2]) for price in found if price is not None}

    def flaws(self) -> list[str]:
        """Every value that cannot be meant, in a sentence each."""
        return [*self._names(), *self._numbers(), *self._cluster()]

    def _cluster(self) -> Iterator[str]:
        if self.pool is not None and not (self.bounds and 1 <= self.bounds[0] <= self.bounds[1]):
            yield f"pool is {self.pool!r}: it must be a number of models, as in 2, or two bounds, as in 1-8"
        if self.metrics_port is not None and not 0 < self.metrics_port < 1 << 16:
            yield f"metrics_port is {self.metrics_port}: it must be a port, 1 to 65535"
        for written in self.price:
            if PRICE.fullmatch(written) is None:
                yield f"price is {written!r}: it must be a kind of node and what its hour costs, as in gpu=2.5"

    def _names(self) -> Iterator[str]:
        choices = {"channels": CHANNELS, "cut": CUTS, "dtype": DTYPES, "device": DEVICES}
        for name, known in choices.items():
            if (value := getattr(self, name)) not in known:
                yield f"{name} is {value!r}: it must be {', '.join(known[:-1])} or {known[-1]}"

    def _numbers(self) -> Iterator[str]:
        for name in ("window", "shard_size", "cpus"):
            value = getattr(self, name)
            if value is not None and value < 1:
                yield f"{name} is {value}: it must be 1 or more"
        if self.batch_seconds is not None and not self.batch_seconds > 0:
            yield f"batch_seconds is {self.batch_seconds}: it must be more than 0"


@dataclass(frozen=True)
class Transcribe(Work):
    """What to transcribe, with what, and where to."""

    _: KW_ONLY
    language: str | None = None
    """The language to write, for a checkpoint that translates into several."""
    beam: int | None = None
    """Readings that the search keeps; without it, what the checkpoint says, or 1."""
    lm: str | None = None
    """A language model of words for a CTC checkpoint: an ARPA or KenLM file, here or in a bucket."""
    lm_weight: float = 0.5
    """How much the language model counts."""
    word_bonus: float = 0.0
    """Added for every word: a language model by itself likes few."""
    hotwords: Annotated[tuple[str, ...], MANY] = ()
    """Words to expect."""
    hotword_boost: float = 5.0
    """How much a word to expect counts."""

    @property
    def decisive(self) -> Mapping[str, str | int | float | bool | None]:
        """The options that change words."""
        search: Mapping[str, str | int | float | bool | None] = {
            "language": self.language,
            "beam": self.beam,
            "lm_weight": self.lm_weight if self.lm else None,
            "word_bonus": self.word_bonus or None,
            "hotwords": " ".join(sorted(self.hotwords)) or None,
            "hotword_boost": self.hotword_boost if self.hotwords else None,
        }
        return {**super().decisive, **{name: value for name, value in search.items() if value is not None}}

    @property
    def files(self) -> Mapping[str, str]:
        """The language model."""
        return {} if self.lm is None else {"lm": self.lm}

    @property
    def written(self) -> str | None:
        """The one that was asked for."""
        return self.language

    def _numbers(self) -> Iterator[str]:
        yield from super()._numbers()
        if self.beam is not None and self.beam < 1:
            yield f"beam is {self.beam}: it must be 1 or more"
        if (self.lm or self.hotwords) and (self.beam or 1) < 2:
            yield "lm and hotwords choose among readings: beam must be 2 or more, as in --beam 10"


@dataclass(frozen=True)
class Incremental(Transcribe):
    """What to transcribe of what is new, with what, and where to."""

    _: KW_ONLY
    date: str | None = None
    """The night it is for, as in 2026-11-20: the same date is done once. `{date}` stands for it in the last part of an
    input's name: recordings are named from there on, and those of two nights must not be called the same."""

    def flaws(self) -> list[str]:
        """A date that is none, that is missing where an input asks for it, or that no recording's name would hold."""
        asked = [name for name in self.inputs if "{date}" in name]
        if self.date is None:
            return [*super().flaws(), *(f"input {name} asks for a date: --date 2026-11-20, say" for name in asked)]
        if above := [name for name in asked if "{date}" not in plain(name)]:
            return [*super().flaws(), *(f"input {name}: {{date}} must stand in its last part" for name in above)]
        try:
            datetime.fromisoformat(self.date)
        except ValueError:
            return [*super().flaws(), f"date is {self.date!r}: it must look like 2026-11-20 or 2026-11-20T06:00"]
        return super().flaws()


def plain(name: str) -> str:
    """The last part of an input's name that no pattern stands in or before."""
    parts = takewhile(lambda part: not any(sign in part for sign in "*?["), name.rstrip("/").split("/"))
    return list(parts)[-1]


@dataclass(frozen=True)
class Retry:
    """What to try again."""

    output: str
    """The folder or URL that a job wrote. Model and options are those of its last run."""
    _: KW_ONLY
    errors: Annotated[tuple[str, ...], MANY] = ()
    """Only rows that failed with these classes, as NotFound; without it, all that failed."""
    model: Annotated[str | None, Parameter(alias="-m")] = None
    """Where the same checkpoint lies now, if it was moved."""
    address: str | None = None
    """A Ray cluster to run on; without it, one is started on this machine."""
    cpus: int | None = None
    """Cores of this machine to use; without it, all."""
