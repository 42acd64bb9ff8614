"""A Dockerfile as its stages and steps, and its steps done in a folder instead of an image."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "infra" / "Dockerfile"
IGNORE = ROOT / ".dockerignore"
CONSTRAINTS = ROOT / "infra" / "constraints.txt"
HERE = "/opt/steno"
"""Where the image has its environment."""


@dataclass(frozen=True)
class Step:
    """One instruction."""

    stage: str
    word: str
    rest: str


def steps(text: str) -> list[Step]:
    """The instructions in order, each with the name of its stage."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^\s*#.*\n", "", text))
    found, stage = [], ""
    for line in filter(str.strip, joined.splitlines()):
        word, rest = line.split(maxsplit=1)
        stage = rest.split(" AS ")[1] if word == "FROM" else stage
        found.append(Step(stage, word, rest))
    return found


def sent(ignore: str) -> list[Path]:
    """The files that .dockerignore lets through: the last rule that fits a file decides."""
    rules = [line for line in ignore.splitlines() if line and not line.startswith("#")]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(name) for name in listed.stdout.splitlines() if _let_through(name, rules)]


def _let_through(name: str, rules: list[str]) -> bool:
    through = True
    for rule in rules:
        pattern = rule.removeprefix("!")
        if fnmatch(name, pattern) or name.startswith(f"{pattern}/") or fnmatch(name, f"{pattern}/*"):
            through = rule.startswith("!")
    return through


def copied(step: Step, context: list[Path], folder: Path) -> int:
    """Do a COPY into the folder; how many files."""
    *sources, target = step.rest.split()
    files = [(file, source) for source in sources for file in context if _below(file, source)]
    for file, source in files:
        inner = file.relative_to(source) if Path(source) != file else Path(file.name)
        place = folder / target / inner
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, place)
    return len(files)


def _below(file: Path, source: str) -> bool:
    return file == Path(source) or Path(source) in file.parents


def run(step: Step, folder: Path, environment: Path, rewrite: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Do a RUN in the folder, with the image's environment at another place."""
    command = step.rest.replace(HERE, str(environment))
    for old, new in rewrite.items():
        command = command.replace(old, new)
    plain = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    path = f"{environment}/bin:{os.environ['PATH']}"
    return subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env={**plain, "PATH": path},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def needs(found: list[Step], context: list[Path], folder: Path) -> list[str]:
    """The packages that the image installs, as they are asked for."""
    for step in before_the_source(found):
        copied(step, context, folder)
    (step,) = [step for step in of(found, "installed", "RUN") if "needs.txt" in step.rest]
    run(step, folder, Path(sys.prefix), {"&& pip install": "&& echo"}).check_returncode()
    return (folder / "needs.txt").read_text().splitlines()


def before_the_source(found: list[Step]) -> list[Step]:
    """What is copied for the installation of packages."""
    return [*of(found, "needs", "COPY"), next(of(found, "installed", "COPY"))]


def pins() -> dict[str, str]:
    """The version of each package that may be installed."""
    return dict(line.split("==") for line in CONSTRAINTS.read_text().splitlines() if "==" in line)


def of(found: list[Step], stage: str, word: str) -> Iterator[Step]:
    """The steps of a stage that are of one kind."""
    return (step for step in found if step.stage == stage and step.word == word)
