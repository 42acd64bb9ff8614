"""Published configuration files as frozen dataclasses.

A dataclass's field names are the published ones and its default instance holds the published defaults, which differ
between families even for the same field. Fields that only training reads are not listed and not looked at.
"""

import dataclasses
import json
import math
from collections.abc import Container, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from models.layers.activations import ACTIVATIONS
from models.layers.convolution import STEMS, ConvShape

Json = Mapping[str, object]


if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LARGEST = 2**20
"""No published size comes near; a larger one is a damaged file, and would only exhaust the memory."""

C = TypeVar("C", bound="DataclassInstance")


def choice(default: str, choices: Container[str]) -> str:
    """A field that must name one of `choices`."""
    return dataclasses.field(default=default, metadata={"choices": choices})


def at_least(least: int, default: int) -> int:
    """A whole number that may be smaller than 1, which others may not."""
    return dataclasses.field(default=default, metadata={"least": least})


@dataclasses.dataclass(frozen=True)
class StemConfig:
    """The convolutions on the waveform."""

    conv_dim: tuple[int, ...] = (512,) * 7
    """Channels of each convolution."""
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    """Frames (at first: samples) that each convolution sees."""
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    """Frames (at first: samples) from one output to the next."""
    conv_bias: bool = False
    """Whether the convolutions have a bias."""
    feat_extract_norm: str = choice("group", STEMS)
    """A group norm after the first convolution, or a layer norm after each."""
    feat_extract_activation: str = choice("gelu", ACTIVATIONS)
    """The activation after each convolution and after the positional one."""

    @property
    def shape(self) -> ConvShape:
        """The convolutions' sizes."""
        return ConvShape(self.conv_dim, self.conv_kernel, self.conv_stride)

    def flaws(self) -> list[str]:
        """Values that contradict one another."""
        if len(self.conv_dim) == len(self.conv_kernel) == len(self.conv_stride) > 0:
            return []
        return ["conv_dim, conv_kernel and conv_stride must have one value per convolution each"]


@dataclasses.dataclass(frozen=True)
class CtcConfig:
    """A head that spells tokens."""

    vocab_size: int = 32
    """Classes, the blank among them."""
    pad_token_id: int = at_least(0, 0)
    """The blank."""
    ctc_loss_reduction: str = choice("mean", {"sum", "mean"})
    """How the losses of several clips become one number."""
    ctc_zero_infinity: bool = False
    """Whether a clip too short for its labels costs nothing instead of infinitely much."""

    def flaws(self) -> list[str]:
        """Values that contradict one another."""
        if 0 <= self.pad_token_id < self.vocab_size:
            return []
        return [f"pad_token_id {self.pad_token_id} is the blank and must be below vocab_size {self.vocab_size}"]


PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")


@dataclasses.dataclass(frozen=True)
class ClassifierConfig:
    """A head that scores whole clips."""

    classifier_proj_size: int = 256
    """Width between the two products of the head."""
    use_weighted_layer_sum: bool = False
    """Whether all layers are mixed by learned weights, instead of reading the last."""
    problem_type: str = choice(PROBLEM_TYPES[0], PROBLEM_TYPES)
    """One label per clip, any number of labels, or values."""


def read(default: C, published: Json) -> tuple[C, list[str]]:
    """The configuration that `published` states, and what is wrong with it, in words.

    A value that cannot be used is replaced by the default, so that everything else can still be checked.
    """
    values: dict[str, object] = {}
    problems: list[str] = []
    for field in dataclasses.fields(default):
        fallback = getattr(default, field.name)
        if dataclasses.is_dataclass(fallback) and not isinstance(fallback, type):
            values[field.name], more = read(fallback, published)
            problems += more
        else:
            values[field.name], more = _checked(field, published.get(field.name), fallback)
            problems += more
    return dataclasses.replace(default, **values), problems


def refuse(published: Json, unsupported: Mapping[str, object]) -> list[str]:
    """A line for each field that would change the computation in a way that is not built here."""
    return [
        f"{name} is {published[name]!r}; only {neutral!r} is supported"
        for name, neutral in unsupported.items()
        if published.get(name, neutral) not in (neutral, None)
    ]


def _checked(field: "dataclasses.Field[object]", value: object, fallback: object) -> tuple[object, list[str]]:
    if value is None:
        return fallback, []
    choices = field.metadata.get("choices")
    if choices is not None and (not isinstance(value, str) or value not in choices):
        return fallback, [f"{field.name} is {value!r}; supported: {', '.join(sorted(choices))}"]
    if isinstance(fallback, tuple):
        items = tuple(value) if isinstance(value, list | tuple) else (value,)
        used: object = items
        fits = all(_fits(item, fallback[0], 1) for item in items)
    else:
        used, fits = value, _fits(value, fallback, field.metadata.get("least", 1))
    return (used, []) if fits else (fallback, [f"{field.name} is {value!r}; {_wanted(fallback)} is needed"])


def _fits(value: object, like: object, least: int) -> bool:
    """Whether a value is of another's kind, and a whole number large enough."""
    if isinstance(like, bool) or isinstance(value, bool):
        return isinstance(like, bool) and isinstance(value, bool)
    if isinstance(like, int):
        return isinstance(value, int) and least <= value <= LARGEST
    if isinstance(like, float):
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, type(like))


def _wanted(fallback: object) -> str:
    if isinstance(fallback, tuple):
        plurals = {int: "whole numbers above zero", float: "numbers", str: "names"}
        return f"a list of {plurals[type(fallback[0])]}"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a name"}[type(fallback)]


class Flawed(Protocol):
    """A configuration that can contradict itself."""

    def flaws(self) -> list[str]:
        """Values that contradict one another."""
        ...


class ConfigError(ValueError):
    """Files from which no model can be built, and every reason found, each naming its file."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read_json(path: Path) -> Json:
    """A JSON object in a file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{path.name} is not JSON ({error})"]) from error
    except OSError as error:
        raise ConfigError([f"{path.name} cannot be read ({error.strerror})"]) from error
    if not isinstance(content, dict):
        raise ConfigError([f"{path.name} is not a JSON object"])
    return content


def write_json(path: Path, content: Json) -> None:
    """A JSON object to a file."""
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def require_sound(problems: list[str], *configs: Flawed) -> None:
    """Stop where sizes contradict one another, with what else is wrong."""
    flaws = [flaw for config in configs for flaw in config.flaws()]
    if flaws:
        raise ConfigError([f"config.json: {problem}" for problem in problems + flaws])
