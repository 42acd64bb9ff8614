"""Python and its packages, against what the project declares."""

import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from jobs.checks.finding import Finding, fine, note, problem

PROJECT = "stenopool"
SOURCE = Path(__file__).parents[2] / "pyproject.toml"
NEVER = ("check", "test")
"""Extras that only who works on the project needs."""
SHOWN = ("torch", "ray", "pyarrow")
PURPOSES = {
    "aws": "`ray up` on AWS",
    "azure": "az:// places",
    "cluster": "sending jobs to a cluster",
    "gs": "gs:// places",
    "hub": "hf:// checkpoints",
    "lm": "language models in KenLM's binary files",
    "metrics": "figures for Prometheus while a run goes on",
    "silero": "--cut silero",
    "tf": "TensorFlow checkpoints (tf_model.h5)",
}


def packages() -> Iterator[Finding]:
    """Python, what is needed, and what is needed for some things only."""
    yield fine("Python", f"{sys.version.split()[0]}, {sys.executable}")
    needed, extras = declared()
    if (less := missing()) is not None:
        yield less
    else:
        versions = ", ".join(f"{name} {version(name)}" for name in SHOWN)
        yield fine("packages", f"all {len(needed)} that are needed are there: {versions}")
    for extra, requirements in sorted(extras.items()):
        wrong = [said for requirement in requirements if (said := lacking(requirement))]
        about, purpose = f"extra {extra}", f"for {PURPOSES.get(extra, extra)}"
        if wrong:
            yield note(about, f"{purpose}: {'; '.join(wrong)}", f"pip install -e '.[{extra}]' in the project's folder")
        else:
            yield fine(about, f"{purpose}: {', '.join(f'{r.name} {version(r.name)}' for r in requirements)}")


def missing() -> Finding | None:
    """What is needed always and is not there; nothing else of the project can be imported then."""
    if wrong := [said for requirement in declared()[0] if (said := lacking(requirement))]:
        return problem("packages", "; ".join(wrong), "pip install -e . in the project's folder")
    return None


def declared() -> tuple[list[Requirement], dict[str, list[Requirement]]]:
    """What is needed always, and for each extra."""
    needed, extras = list[Requirement](), defaultdict[str, list[Requirement]](list)
    for extra, requirement in _declared():
        if not extra:
            needed.append(requirement)
        elif extra not in NEVER:
            extras[extra].append(requirement)
    return needed, dict(extras)


def lacking(requirement: Requirement) -> str:
    """What is wrong with a package, or nothing."""
    try:
        there = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if requirement.specifier.contains(there, prereleases=True):
        return ""
    return f"{requirement.name} is {there}, and {requirement.specifier} is needed"


def _declared() -> Iterator[tuple[str, Requirement]]:
    """As its source says, which is newer than what an installation recorded; else as that did."""
    if SOURCE.exists():
        project = tomllib.loads(SOURCE.read_text())["project"]
        yield from (("", Requirement(line)) for line in project["dependencies"])
        for extra, lines in project["optional-dependencies"].items():
            yield from ((extra, Requirement(line)) for line in lines)
        return
    for requirement in map(Requirement, _installed()):
        extra = str(requirement.marker or "").rpartition("extra == ")[2].strip("\"'")
        yield extra, requirement


def _installed() -> Sequence[str]:
    try:
        return requires(PROJECT) or []
    except PackageNotFoundError:
        return []
