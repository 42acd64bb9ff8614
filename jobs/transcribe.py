"""`steno transcribe`: speech to text with words and times, from where the audio lies to a table.

Everything that can be wrong with the set-up is looked for before a cluster starts, and told at once.
"""

import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from models import CheckpointError, SourceError, SpeechModel, load_model
from models.protocol import CtcSearch, Search
from models.sources import fetch
from pipeline import flow
from pipeline.audio import AudioRules
from pipeline.bucketing import Buckets
from pipeline.identity import weights_hash
from pipeline.inference import Device
from pipeline.inputs.found import PlanError, PlanRules
from pipeline.lease import Lease, LeaseHeldError
from pipeline.output import Identity, OutputDiffersError, add_generation, claim, generations, record_run
from pipeline.passes import Passes, Tally, Watch
from pipeline.plan import plan
from pipeline.planfile import write_plan
from pipeline.reading import Rules
from pipeline.schema import FAILED, STATUSES
from pipeline.stitching import Making
from pipeline.storage import Store, StoreError


class SetupError(Exception):
    """The job cannot start: every reason found, one a line."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Transcribe:
    """What to transcribe, with what, and where to."""

    inputs: tuple[str, ...]
    """Folders, files, globs, manifests, tars, Parquet files; local paths or URLs."""
    output: str
    """The folder or URL that the table is written under."""
    model: str
    """A checkpoint: a folder, s3://bucket/folder or hf://org/name@revision."""
    format: str | None = None
    """What the inputs are, where looking at them is not enough."""
    channels: str = "mix"
    """`mix`, `first`, or `each` for a row per channel."""
    cut: str = "quiet"
    """Where long recordings are cut: `quiet`, `silero`, or `none`."""
    beam: int = 1
    """Readings that the search keeps."""
    dtype: str = "float32"
    device: str = "cpu"
    """`cpu` or `cuda`."""
    window: int = 1024
    """Segments that are sorted together into batches."""
    batch_seconds: float = 160.0
    """What a batch may hold, in padded seconds."""
    shard_size: int = 1024
    """Loose recordings of a shard."""
    address: str | None = None
    """A Ray cluster to run on; None starts one on this machine."""
    cpus: int | None = None
    """Cores of this machine to use; None uses all."""

    @property
    def decisive(self) -> Mapping[str, str | int | float | bool | None]:
        """The options that change words."""
        return {"channels": self.channels, "cut": self.cut, "beam": self.beam, "dtype": self.dtype}


@dataclass(frozen=True)
class Report:
    """What a run did."""

    run_id: str
    output: str
    counts: Mapping[str, int]
    """Rows of this run by status."""
    shards: int
    audio_seconds: float
    wall_seconds: float
    padding: float
    passes: int
    storage: str
    """What the output's store promised."""
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Rows without a transcript."""
        return self.counts.get(FAILED, 0)


def transcribe(options: Transcribe, watch: Watch | None = None) -> Report:
    """Do what is planned and not done; `SetupError` says why nothing could start."""
    began, run_id = time.monotonic(), _run_id()
    store, audio, model = _checked(options)
    storage = store.probe().words
    identity = Identity(options.model, None, weights_hash(Path(fetch(options.model))), options.decisive)
    try:
        claim(store, identity)
        with Lease(store, run_id) as lease:
            _plan(options, store)
            with flow.cluster(options.address, options.cpus) as resources:
                tally = Passes(
                    store,
                    lease,
                    Rules(store.url, options.model, audio, Buckets(options.window, budget=options.batch_seconds)),
                    Device(options.model, options.dtype, options.device, _threads(resources), _search(options)),
                    resources,
                    Making(options.model, run_id, model.sample_rate),
                    identity.fingerprint,
                    watch or _unwatched,
                ).run()
            report = _report(options, run_id, tally, time.monotonic() - began, storage)
            record_run(store, run_id, asdict(report))
            return report
    except (OutputDiffersError, LeaseHeldError, PlanError) as error:
        raise SetupError([str(error)]) from error


def _unwatched(tally: Tally) -> None:
    """Nobody looks on."""


def _checked(options: Transcribe) -> tuple[Store, AudioRules, SpeechModel]:
    """Everything that a run needs, or all that is wrong with it."""
    problems: list[str] = []
    store = audio = model = None
    try:
        store = Store(options.output)
        store.probe()
    except StoreError as error:
        problems.append(f"output: {error}")
    try:
        model = load_model(options.model, options.dtype, options.device)
        problems += _unfit(model, options)
        audio = AudioRules(model.sample_rate, options.channels, options.cut)  # type: ignore[arg-type]  # checked there
    except (CheckpointError, SourceError, ValueError) as error:
        problems.append(f"model: {error}" if model is None else str(error))
    if store is not None and not problems and not generations(store):
        try:
            next(plan(options.inputs, PlanRules(options.format, options.shard_size)), None)
        except PlanError as error:
            problems += error.problems
    if problems or store is None or audio is None or model is None:
        raise SetupError(problems)
    return store, audio, model


def _unfit(model: SpeechModel, options: Transcribe) -> list[str]:
    if model.head.search is None:
        return [f"{options.model} is a {model.architecture}, which writes no text: `steno models` says what it gives"]
    if model.vocabulary is None:
        return [f"{options.model} has no vocabulary file, so its tokens cannot be written"]
    return []


def _plan(options: Transcribe, store: Store) -> None:
    if generations(store):
        return
    with tempfile.TemporaryFile() as file:
        write_plan(plan(options.inputs, PlanRules(options.format, options.shard_size)), file)
        file.seek(0)
        add_generation(store, 1, file.read())


def _search(options: Transcribe) -> Search | None:
    return CtcSearch(beam=options.beam) if options.beam > 1 else None


def _threads(resources: flow.Resources) -> int:
    return max(1, round(resources.listener_cpus + 0.5))


def _run_id() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"


def _report(options: Transcribe, run_id: str, tally: Tally, wall: float, storage: str) -> Report:
    return Report(
        run_id=run_id,
        output=options.output,
        counts={status: tally.counts[status] for status in STATUSES},
        shards=tally.shards,
        audio_seconds=tally.seconds,
        wall_seconds=wall,
        padding=tally.padding,
        passes=tally.passes,
        storage=storage,
        settings=asdict(options),
    )
