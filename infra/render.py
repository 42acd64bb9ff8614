"""Manifests from templates and one file of values.

A template is YAML. `${key}` stands for a value, with its type where it stands alone; `{$include: file}` for another
template, `{$text: file}` for the text of one. What comes out is checked by `check` before anything is written.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

HERE = Path(__file__).parent
TEMPLATES = HERE / "manifests"
VALUES = HERE / "values.yaml"
KUBERNETES = {
    "raycluster.yaml": ("service-account", "job-options", "raycluster"),
    "rayjob.yaml": ("service-account", "job-options", "rayjob"),
    "raycronjob.yaml": ("service-account", "job-options", "raycronjob"),
    "cronjob.yaml": (
        *("service-account", "job-options", "cronjob-account", "cronjob-role", "cronjob-binding"),
        *("cronjob-run", "cronjob"),
    ),
}
"""Files to hand to kubectl, each with the templates of its documents."""
RAY_UP, JOB = "ray-up.yaml", "job.yaml"
PLACE = re.compile(r"\$\{([A-Za-z.]+)\}")

Scalar: TypeAlias = str | int | float | bool | None
Json: TypeAlias = "Scalar | list[Json] | dict[str, Json]"
Values: TypeAlias = Mapping[str, Scalar]


class ValuesError(Exception):
    """The values do not fit the templates; `problems` says how."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Rendered:
    """Every manifest of a set of values."""

    kubernetes: Mapping[str, list[dict[str, Json]]]
    """The documents of each file."""
    ray_up: dict[str, Json]
    job: str
    """The run's options, which a cluster of `ray up` is handed as a file."""

    def files(self) -> Iterator[tuple[str, str]]:
        """Each file's name and text."""
        for name, documents in self.kubernetes.items():
            yield name, _text(documents)
        yield RAY_UP, _text([self.ray_up])
        yield JOB, self.job


def read_values(path: Path = VALUES) -> Values:
    """The values by their dotted names; `ValuesError` says which are missing, are no numbers, or nobody asks for."""
    content = read(path)
    if len(content) != 1 or not isinstance(content[0], dict):
        raise ValuesError([f"{path}: lines of `name: value` are needed, as in {VALUES}"])
    wanted = {name for file in TEMPLATES.glob("*.yaml") for name in PLACE.findall(file.read_text())}
    asked = (wanted - set(DERIVED)) | SOURCES
    found = dict(_flat(content[0], asked))
    given = {name: value for name, value in found.items() if not isinstance(value, dict | list)}
    problems = [f"{path}: {name} is missing" for name in sorted(asked - set(found))]
    problems += [f"{path}: no manifest asks for {name}" for name in sorted(set(found) - asked)]
    several = sorted(asked & set(found) - set(given))
    problems += [f"{path}: {name} must be one text or number, and is several: is a | missing?" for name in several]
    numbers = {name: _number(name, given[name]) for name in SOURCES & set(given)}
    odd = sorted(name for name, number in numbers.items() if number is None)
    problems += [f"{path}: {name} must be a whole number{_or_else(name)}, and is {given[name]}" for name in odd]
    if problems:
        raise ValuesError(problems)
    return {**given, **_derived({name: number for name, number in numbers.items() if number is not None})}


def read(path: Path) -> list[Json]:
    """The documents of a file of YAML; `ValuesError` where there is none."""
    try:
        return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ValuesError([f"{path} cannot be read: {error.strerror}"]) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValuesError([f"{path} is not YAML: {error}"]) from None


def render(values: Values) -> Rendered:
    """Fill in every template."""
    kubernetes = {name: [_document(part, values) for part in parts] for name, parts in KUBERNETES.items()}
    return Rendered(kubernetes, _document("ray-up", values), str(values["job"]))


DERIVED = ("workers", "idleMinutes", "gpuCores", "gpuCards", "cpuCores")
SOURCES = {"gpuWorkers.max", "cpuWorkers.max", "idleSeconds", "gpuWorkers.cpu", "gpuWorkers.gpu", "cpuWorkers.cpu"}
"""What the derived values come from."""
CORES = ".cpu"
"""How the names of those end that count processors."""


def _number(name: str, value: Scalar) -> int | None:
    """A whole number, or of millicores the whole cores, at least one, as Ray counts in those; None of anything else."""
    text = str(value)
    if name.endswith(CORES) and text.endswith("m") and text[:-1].isdecimal():
        return max(1, int(text[:-1]) // 1000)
    return int(text) if text.isdecimal() else None


def _or_else(name: str) -> str:
    return " or millicores such as 7500m" if name.endswith(CORES) else ""


def _derived(number: Mapping[str, int]) -> Values:
    return {
        "workers": number["gpuWorkers.max"] + number["cpuWorkers.max"],
        "idleMinutes": max(1, number["idleSeconds"] // 60),
        "gpuCores": number["gpuWorkers.cpu"],
        "gpuCards": number["gpuWorkers.gpu"],
        "cpuCores": number["cpuWorkers.cpu"],
    }


def _flat(node: dict[str, Json], asked: Collection[str], before: str = "") -> Iterator[tuple[str, Json]]:
    """Names and values, down to the names that are asked for."""
    for name, value in node.items():
        if isinstance(value, dict) and before + str(name) not in asked:
            yield from _flat(value, asked, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _document(name: str, values: Values) -> dict[str, Json]:
    filled = _filled(yaml.safe_load((TEMPLATES / f"{name}.yaml").read_text()), values)
    assert isinstance(filled, dict)
    return filled


def _filled(node: Json, values: Values) -> Json:
    if isinstance(node, dict):
        if "$include" in node:
            return _filled(yaml.safe_load((TEMPLATES / str(node["$include"])).read_text()), values)
        if "$text" in node:
            return _text([_document(Path(str(node["$text"])).stem, values)])
        return {name: _filled(value, values) for name, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, values) for value in node]
    return _value(node, values) if isinstance(node, str) else node


def _value(text: str, values: Values) -> Scalar:
    alone = PLACE.fullmatch(text)
    return values[alone[1]] if alone else PLACE.sub(lambda found: str(values[found[1]]), text)


def _text(documents: list[dict[str, Json]]) -> str:
    return yaml.safe_dump_all(documents, sort_keys=False, width=120)
