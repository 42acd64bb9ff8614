"""Published configuration files as frozen dataclasses.

A dataclass's field names are the published ones and its default instance holds the published defaults, which differ
between families even for the same field. Fields that only training reads are not listed and not looked at.
"""

import dataclasses
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar, cast, get_args

from models.layers.activations import ACTIVATIONS
from models.layers.convolution import STEMS, ConvShape

Json = Mapping[str, object]


if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")


def choice(default: str, choices: Container[str]) -> str:
    """A field that must name one of `choices`."""
    return dataclasses.field(default=default, metadata={"choices": choices})


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
    pad_token_id: int = 0
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
        elif (value := published.get(field.name)) is not None or field.name in published:
            values[field.name], problem = _checked(field, value, fallback)
            problems += problem
    return dataclasses.replace(default, **values), problems


def refuse(published: Json, unsupported: Mapping[str, object]) -> list[str]:
    """A line for each field that would change the computation in a way that is not built here."""
    return [
        f"{name} is {published[name]!r}; only {neutral!r} is supported"
        for name, neutral in unsupported.items()
        if published.get(name, neutral) not in (neutral, None)
    ]


def _checked(field: "dataclasses.Field[object]", value: object, fallback: object) -> tuple[object, list[str]]:
    choices = field.metadata.get("choices")
    if choices is not None and value not in choices:
        return fallback, [f"{field.name} is {value!r}; supported: {', '.join(sorted(choices))}"]
    converted = _converted(value, fallback, field.type)
    if converted is None and value is not None:
        return fallback, [f"{field.name} is {value!r}; {_wanted(fallback)} is needed"]
    return fallback if converted is None else converted, []


def _converted(value: object, fallback: object, annotation: object) -> object:
    """The value as the field's type, or None if it is of another."""
    if isinstance(fallback, tuple):
        inner = get_args(annotation)[0]
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(items) if all(isinstance(item, _kinds(inner)) for item in items) else None
    kinds = _kinds(type(fallback))
    if isinstance(value, bool) and bool not in kinds:
        return None
    return value if isinstance(value, kinds) else None


def _kinds(kind: object) -> tuple[type, ...]:
    return (int, float) if kind is float else (cast(type, kind),)


def _wanted(fallback: object) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a name", tuple: "a list"}
    return names[type(fallback)]


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


def require_sound(problems: list[str], *configs: Flawed) -> None:
    """Stop where sizes contradict one another, with what else is wrong."""
    flaws = [flaw for config in configs for flaw in config.flaws()]
    if flaws:
        raise ConfigError([f"config.json: {problem}" for problem in problems + flaws])
