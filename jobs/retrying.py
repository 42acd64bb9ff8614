"""`steno retry`: rows that failed, once more, as a generation of their own."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import cast

from jobs.aligning import task as aligning
from jobs.clustering import task as clustering
from jobs.embedding import task as embedding
from jobs.labelling import task as labelling
from jobs.options import Retry, Transcribe, Work
from jobs.options_heads import Align, Embed, Label, Units
from jobs.options_machines import Machines
from jobs.planning import Again
from jobs.refusals import SetupError, named
from jobs.transcription import task as transcription
from jobs.work import Report, carry_out
from pipeline.knocking import knock
from pipeline.output import begun, generations, read_runs
from pipeline.storage import Store, StoreError
from pipeline.tally import Watch
from pipeline.tasks import Task

__all__ = ["Retry", "planned_again", "retry"]

JOBS: Mapping[str, type[Work]] = {
    "Transcribe": Transcribe,
    "Incremental": Transcribe,
    "Label": Label,
    "Align": Align,
    "Embed": Embed,
    "Units": Units,
}
"""Options by the names that run records give them."""


def retry(options: Retry, watch: Watch | None = None) -> Report:
    """Plan what failed and do it; `SetupError` says why nothing could start."""
    work, task, again = planned_again(options)
    return carry_out(work, task, watch, again)


def planned_again(options: Retry) -> tuple[Work, Task, Again]:
    """The last run's options, its task, and what is to be tried again."""
    work = _last(options)
    return work, _task(work), Again(options.errors)


def _last(options: Retry) -> Work:
    try:
        store = Store(options.output)
        knock(options.output)
        numbers, records = generations(store), list(read_runs(store))
    except StoreError as error:
        raise SetupError([named(f"{options.output} cannot be read", error)]) from error
    if not numbers:
        raise SetupError([f"{options.output} holds no output of steno"])
    if not records:
        raise SetupError([f"no run of {options.output} has come to its end: run its job again first"])
    last = max(records, key=begun)
    work = _options(str(last["job"]), cast("dict[str, object]", last["settings"]))
    where = {field.name: getattr(options, field.name) for field in fields(Machines)}
    return replace(work, output=options.output, model=options.model or work.model, **where)


def _options(job: str, settings: Mapping[str, object]) -> Work:
    """As they were, without what this version does not know, or refuses because it changes nothing."""
    if job not in JOBS:
        raise SetupError([f"the last run was made by {job}: its rows cannot be tried again by this version"])
    known = {field.name for field in fields(JOBS[job])}
    told = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    told = {name: value for name, value in told.items() if name in known}
    idle = JOBS[job](**told).idle  # type: ignore[arg-type]
    return JOBS[job](**{name: value for name, value in told.items() if name not in idle})  # type: ignore[arg-type]


def _task(work: Work) -> Task:
    match work:
        case Transcribe():
            return transcription(work)
        case Label():
            return labelling(work)
        case Align():
            return aligning(work)
        case Embed():
            return embedding(work)
        case Units():
            return clustering(work)
        case _:
            raise TypeError(f"{type(work).__name__} has no task")
