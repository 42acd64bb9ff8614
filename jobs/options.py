"""What each job can be told: a frozen dataclass per job, the same in Python, on the command line and in YAML.

Nothing heavy is imported here, so that `--help` is quick.
"""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, fields
from datetime import datetime
from itertools import takewhile
from math import inf, isfinite
from typing import Annotated

from cyclopts import Parameter

from jobs.options_audio import Audio
from jobs.options_corpus import MANY, Corpus
from jobs.options_machines import Machines

CHANNELS = ("mix", "first", "each")
CUTS = ("quiet", "silero", "none")
DTYPES = ("float32", "bfloat16")
DEVICES = ("auto", "cpu", "cuda")

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
    failed_ok: Annotated[bool, SWITCH] = False
    """End with 0, not 1, where the table is finished and has failed rows: for what takes other codes for an alarm."""
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
class Work(Machines, Audio, Corpus):
    """What every job that hears audio is told."""

    _: KW_ONLY
    channels: str = "mix"
    """`mix`, `first`, or `each` for a row per channel."""
    cut: str = "quiet"
    """Where long recordings are cut: `quiet`, `silero`, or `none`."""
    dtype: str = "float32"
    """`float32` or `bfloat16`."""
    window: int = 1024
    """Segments that are sorted together into batches."""
    window_bytes: int = 256 << 20
    """Bytes of inputs that are held for that, at most, however few segments they are."""
    batch_seconds: float | None = None
    """What a batch may hold, in padded seconds; by default 160 on a GPU and 40 on CPUs."""

    @property
    def decisive(self) -> Mapping[str, str | int | float | bool | None]:
        """The options that change words."""
        return {"channels": self.channels, "cut": self.cut, "dtype": self.dtype, **self.limits}

    @property
    def files(self) -> Mapping[str, str]:
        """The options that name files: what is in them changes words, and not where they lie."""
        return {}

    @property
    def written(self) -> str | None:
        """The language of the texts, where it is known."""
        return None

    @property
    def idle(self) -> Mapping[str, str]:
        """The options that would change nothing beside the others, and why."""
        return {"cpus": f"they are this machine's, and the work is done at {self.address}"} if self.elsewhere else {}

    def flaws(self) -> list[str]:
        """Every value that cannot be meant, in a sentence each."""
        own = (*self._names(), *self._numbers(), *self._corpus(), *self._audio(), *self._machines())
        return [*own, *self._idle()]

    def _names(self) -> Iterator[str]:
        choices = {"channels": CHANNELS, "cut": CUTS, "dtype": DTYPES, "device": DEVICES}
        for name, known in choices.items():
            if (value := getattr(self, name)) not in known:
                yield f"{name} is {value!r}: it must be {', '.join(known[:-1])} or {known[-1]}"
        for url in self.read_from:
            if url.lower().startswith("memory://") and self.elsewhere:
                yield f"{url} is memory of this process, and a cluster's nodes do not see it: name a bucket"
        if self.device == "cuda" and self.model_gpus == 0:
            yield "model_gpus is 0 and device is 'cuda': a model on a GPU needs some of one"

    def _numbers(self) -> Iterator[str]:
        for name in ("window", "window_bytes"):
            if (value := getattr(self, name)) < 1:
                yield f"{name} is {value}: it must be 1 or more"
        if self.batch_seconds is not None and not self.batch_seconds > 0:
            yield f"batch_seconds is {self.batch_seconds}: it must be more than 0"

    def _idle(self) -> Iterator[str]:
        usual = {field.name: field.default for field in fields(self)}
        for name, why in self.idle.items():
            if (value := getattr(self, name)) != usual[name]:
                yield f"{name} is {value!r}: {why}"


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
    delay_seconds: float | None = None
    """How late the checkpoint writes what it hears; without it, what its calibration.json says, or 0."""
    temperature: float | None = None
    """What confidence is softened by, above 1 less sure, and no word; without it, what calibration.json says, or 1."""

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
            "delay_seconds": self.delay_seconds,
            "temperature": self.temperature,
        }
        return {**super().decisive, **{name: value for name, value in search.items() if value is not None}}

    @property
    def files(self) -> Mapping[str, str]:
        """The language model."""
        return {} if self.lm is None else {"lm": self.lm}

    @property
    def idle(self) -> Mapping[str, str]:
        """What is for a language model or for words to expect, where there are none."""
        weight = {} if self.lm else {"lm_weight": "it is for a language model, and lm names none"}
        boost = {} if self.hotwords else {"hotword_boost": "it is for hotwords, and none is named"}
        return {**super().idle, **weight, **boost}

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
        for name in ("lm_weight", "word_bonus", "hotword_boost"):
            if not isfinite(value := getattr(self, name)):
                yield f"{name} is {value}: it must be a number that ends, as in 0.5"
        yield from odd_calibration(self.delay_seconds, self.temperature)


def odd_calibration(delay: float | None, temperature: float | None = None) -> Iterator[str]:
    """What cannot be meant of how late a checkpoint writes, and how sure it is."""
    if delay is not None and not -1 <= delay <= 1:
        yield f"delay_seconds is {delay}: it must be from -1 to 1 seconds, as in 0.04"
    if temperature is not None and not 0 < temperature < inf:
        yield f"temperature is {temperature}: it must be more than 0, as in 1.5"


@dataclass(frozen=True)
class Incremental(Transcribe):
    """What to transcribe of what is new, with what, and where to."""

    _: KW_ONLY
    date: str | None = None
    """The night it is for, as in 2026-11-20, or `today`, in UTC: the same date is done once. `{date}` stands for it in
    the last part of an input's name: recordings are named from there on, and those of two nights must not be called the
    same."""

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
class Failures:
    """What to try again."""

    output: str
    """The folder or URL that a job wrote. Model and options are those of its last run, but for the machines."""
    _: KW_ONLY
    errors: Annotated[tuple[str, ...], MANY] = ()
    """Only rows that failed with these classes, as NotFound; without it, all that failed."""
    model: Annotated[str | None, Parameter(alias="-m")] = None
    """Where the same checkpoint lies now, if it was moved."""


@dataclass(frozen=True)
class Retry(Machines, Failures):
    """What to try again, and where."""
