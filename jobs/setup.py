"""Everything that can be wrong before a job starts, looked for in seconds and told at once."""

from dataclasses import dataclass
from pathlib import Path

import torch

from jobs.away import away
from jobs.hearing import audio_rules
from jobs.joining import closed_door
from jobs.options import DTYPES, Work
from jobs.planning import Planning
from jobs.refusals import OutputHeldError, Problem, SetupError, named, unhad
from models import CheckpointError, SourceError, SpeechModel, load_model
from models.sources import fetch
from pipeline.audio import AudioRules
from pipeline.bucketing import Buckets
from pipeline.identity import weights_hash
from pipeline.log import STEP, tell
from pipeline.nearby import content_hash
from pipeline.output import Identity, OutputDiffersError, check_identity
from pipeline.resources import Asked, Resources
from pipeline.storage import Store, StoreError
from pipeline.stores.errors import NOT_FOUND
from pipeline.tasks import Task

__all__ = ["OutputHeldError", "Ready", "SetupError", "asked", "buckets", "checked"]


@dataclass(frozen=True)
class Ready:
    """What a run needs, found in order."""

    store: Store
    model: SpeechModel
    task: Task
    audio: AudioRules
    identity: Identity
    storage: str
    """What the output's store promises."""


def checked(options: Work, task: Task, planning: Planning) -> Ready:
    """What a run needs, or `SetupError` with all that is wrong with it."""
    problems: list[Problem] = [*options.flaws()]
    tell(f"looking at the output {options.output}", level=STEP)
    silent = away(options)
    problems += [*silent.problems, *closed_door(options.address)]
    store, storage = (None, "") if silent.any_of(options.output) else _output(options.output, problems)
    tell(f"reading the checkpoint {options.model}", level=STEP)
    far = silent.any_of(options.model, *options.files.values())
    model = None if far else _model(options, task, problems)
    audio = None if model is None else _audio(options, task, model, problems)
    identity = None if model is None else _identity(options, problems)
    meant = not options.flaws()
    tell("looking into the inputs", level=STEP)
    problems += [] if silent.any_of(*planning.inputs) else planning.flaws(store)
    if store is not None and identity is not None and meant:
        problems += _others(store, identity)
    if problems or store is None or audio is None or model is None or identity is None:
        raise SetupError(problems)
    return Ready(store, model.to("meta"), task, audio, identity, storage)  # the room of its weights is the pool's


def buckets(options: Work, resources: Resources) -> Buckets:
    """How batches are made on what there is."""
    budget = options.batch_seconds or resources.batch_seconds
    return Buckets(options.window, options.window_bytes, budget, parts=resources.batches)


def asked(options: Work) -> Asked:
    """What is wanted of the machines."""
    return Asked(
        device=options.device,
        pool=options.bounds,
        readers=options.readers,
        reader_cpus=options.reader_cpus,
        reader_memory=options.reader_memory,
        model_cpus=options.model_cpus,
        model_gpus=options.model_gpus,
        model_memory=options.model_memory,
    )


def _output(url: str, problems: list[Problem]) -> tuple[Store | None, str]:
    try:
        store = Store(url)
        return store, store.probe().words
    except StoreError as error:
        problems.append(named("output", error))
        return None, ""


def _model(options: Work, task: Task, problems: list[Problem]) -> SpeechModel | None:
    if options.device == "cuda" and not torch.cuda.is_available() and not options.elsewhere:
        problems.append("device is 'cuda', and this machine has no CUDA device that torch can use")
    dtype = options.dtype if options.dtype in DTYPES else DTYPES[0]
    try:
        model = load_model(options.model, dtype)  # not on a GPU, whose memory is the pool's
    except (CheckpointError, SourceError) as error:
        problems.append(named("model", unhad(error)))
        return None
    of_files = tuple(f"{name}: " for name in options.files)
    problems += [flaw if flaw.startswith(of_files) else f"{options.model}: {flaw}" for flaw in task.flaws(model)]
    return model


def _audio(options: Work, task: Task, model: SpeechModel, problems: list[Problem]) -> AudioRules | None:
    try:
        return audio_rules(options, task, model)
    except ValueError as error:
        problems += [line for line in str(error).splitlines() if "must be one of" not in line and line not in problems]
        return None


def _identity(options: Work, problems: list[Problem]) -> Identity | None:
    """What decides the words: of files that options name, what is in them."""
    contents = {}
    for name, url in options.files.items():
        try:
            contents[name] = f"content {content_hash(url)}"
        except StoreError as error:
            problems += [] if any(url in str(told) for told in problems) else [named(name, error)]
            return None
    return Identity(options.model, None, weights_hash(Path(fetch(options.model))), {**options.decisive, **contents})


def _others(store: Store, identity: Identity) -> list[Problem]:
    try:
        check_identity(store, identity)
    except OutputDiffersError as error:
        return [str(error)]
    except StoreError as error:
        return [error] if error.kind != NOT_FOUND else []
    return []
