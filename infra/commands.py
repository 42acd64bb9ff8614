"""What the command of a manifest is worth: `steno` reads it here, with the options that are mounted beside it."""

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from cyclopts import CycloptsError

from infra.documents import Document, at, mappings, number
from jobs.cli import app
from jobs.options import Incremental, Work

MOUNTED = "/etc/steno/job.yaml"
"""Where the command looks for its options."""
GPU = "nvidia.com/gpu"
SHELL = frozenset(";&|<>$`")
"""What makes a command a program of the shell's, in which `steno` is one word of several."""
TODAY, A_DATE = "today", "2026-11-20"


def command_problems(job: Document, options: str) -> Iterator[str]:
    """What is wrong with the command of a job, and with its options; what cannot be read here is left alone."""
    command = str(job.get("entrypoint"))
    try:
        words = shlex.split(command)[1:]
        if SHELL & set(command) or ("--config" in words and MOUNTED not in words):
            return
        asked = _asked(words, options)
    except (CycloptsError, ValueError) as error:  # the latter of a quote that is not closed
        yield f"entrypoint: {error}"
        return
    if isinstance(asked, Incremental) and asked.date == TODAY:
        asked = replace(asked, date=A_DATE)
    if isinstance(asked, Work):
        yield from (f"entrypoint: {flaw}" for flaw in asked.flaws())
        if asked.device == "cuda" and not any(map(_has_gpus, mappings(at(job, "rayClusterSpec.workerGroupSpecs")))):
            yield "a run looks for GPUs when it begins, and device is 'cuda': a group that has them needs one worker"


def _asked(words: list[str], options: str) -> object:
    """What a command would be told; `CycloptsError` says what it does not understand."""
    with TemporaryDirectory() as folder:
        here = Path(folder) / Path(MOUNTED).name
        here.write_text(options, encoding="utf-8")
        read = [str(here) if word == MOUNTED else word for word in words]
        try:
            _, bound, _ = app.parse_args(read, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            raise CycloptsError(msg=str(error).replace(str(here), MOUNTED)) from None
    return bound.arguments.get("options")


def _has_gpus(group: Document) -> bool:
    """From the beginning."""
    containers = mappings(at(group, "template.spec.containers"))
    limited = [dict(limits) for each in containers if isinstance(limits := at(each, "resources.limits"), dict)]
    return number(group.get("minReplicas")) > 0 and any(GPU in limits for limits in limited)
