"""A job that hears audio, from where it lies to a table: checks, claim, plan, passes, record.

Everything that can be wrong with the set-up is looked for before a cluster starts, and told at once.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace

from jobs.chronicle import Chronicle
from jobs.fitting import fit
from jobs.forecast import Compared, compared, kept
from jobs.options import Work
from jobs.planning import Once, Planning, add
from jobs.setup import OutputHeldError, Ready, SetupError, asked, buckets, checked
from pipeline import machines
from pipeline.course import Course, Sample
from pipeline.inference import Device
from pipeline.inputs.found import PlanError
from pipeline.lease import Lease, LeaseHeldError
from pipeline.lending import lent
from pipeline.log import RUN, STEP, tell
from pipeline.meters import Meters
from pipeline.output import DONE, OutputDiffersError, claim, now, read_run, record_run
from pipeline.passes import Passes, missing_shards
from pipeline.prices import Bill, Prices
from pipeline.reading import Rules
from pipeline.reckoning import reckon
from pipeline.resources import UnfitError
from pipeline.schema import FAILED
from pipeline.stitching import Making
from pipeline.tally import Tally, Told, Watch
from pipeline.tasks import Joint, Task


@dataclass(frozen=True)
class Report:
    """What a run did."""

    run_id: str
    job: str
    """Whose options `settings` are."""
    output: str
    counts: Mapping[str, int]
    """Rows of this run by status; these, the audio, the time and the cost are those of all its starts."""
    shards: int
    audio_seconds: float
    wall_seconds: float
    padding: float
    passes: int
    storage: str
    """What the output's store promised."""
    added: int = 0
    """Rows that this run planned."""
    settings: Mapping[str, object] = field(default_factory=dict)
    readers: int = 0
    """Readers of the pool before the models."""
    course: tuple[Sample, ...] = ()
    """What was done by when."""
    heard_seconds: float = 0.0
    """Audio that models heard: more than there is, where pieces overlap at cuts or are heard again."""
    batches: int = 0
    idle_share: float = 0.0
    """The part of the devices' time in which they waited."""
    splits: int = 0
    """Batches that were halved because they did not fit the device's memory."""
    retries: int = 0
    """Shards that were read again, and requests that storage was asked again."""
    cost: float | None = None
    """What the cluster cost, in the unit of the given prices; None without prices."""
    hourly_cost: float | None = None
    """The same for an hour of audio."""
    began: str = ""
    finished: str = ""
    """When, in UTC: the name of a night's run tells its logical date."""
    forecast: Compared | None = None
    """What a dry run had foretold, beside what came."""
    ended: str = DONE
    """How; of others than done, the record is a `jobs.chronicle.Account`."""
    exit_code: int | None = None
    """What the command ended with, where it was a command."""

    @property
    def failed(self) -> int:
        """Rows without a transcript."""
        return self.counts.get(FAILED, 0)


def carry_out(
    options: Work,
    task: Task,
    watch: Watch | None = None,
    planning: Planning | None = None,
    chronicle: Chronicle | None = None,
) -> Report:
    """Plan, by default everything once, and do what is not done; `SetupError` says why nothing could start."""
    course, chronicle, planning = Course(), chronicle or Chronicle(options), planning or Once(options)
    run_id = chronicle.run_id
    ready = checked(options, task, planning)
    store = ready.store
    RUN.set(run_id)
    try:
        claim(store, ready.identity)
        with Lease(store, run_id) as lease:
            if known := read_run(store, run_id):  # the same night, done by another while this one was looking
                return reread(known)
            chronicle.open(store, lease)
            added = add(planning, store, lease)
            watches = all_of(watch or _unwatched, Told(Meters(run_id)), course, chronicle)
            tally = _run(options, ready, lease, watches, course.began) if missing_shards(store) else Tally()
            reckon(store, ready.audio.channels)
            report = replace(_report(chronicle, tally, course, ready), added=added.rows)
            record_run(store, run_id, asdict(report))
            return report
    except LeaseHeldError as error:
        raise OutputHeldError([str(error)]) from error
    except PlanError as error:
        raise SetupError(error.reasons) from error
    except OutputDiffersError as error:
        raise SetupError([str(error)]) from error
    except UnfitError as error:
        raise SetupError(str(error).splitlines()) from error


def _run(options: Work, ready: Ready, lease: Lease, watch: Watch, began: float) -> Tally:
    references = ready.task.references if isinstance(ready.task, Joint) else None
    wanted, port = asked(options), options.metrics_port
    tell(f"joining the cluster at {options.address}" if options.address else "starting Ray here", level=STEP)
    with (
        lent(options.read_from),
        machines.cluster(options.address, options.cpus, asked=wanted, metrics_port=port) as resources,
    ):
        bill = Bill(Prices(options.prices), machines.nodes, began)
        made = buckets(options, resources)
        rules = Rules(ready.store.url, options.model, ready.audio, made, references=references)
        device = Device(
            options.model,
            options.dtype,
            resources.device,
            resources.listener_threads,
            ready.task,
            patience=options.model_patience_seconds,
        )
        tell(f"loading the model into {resources.begun} workers, for the first batches", level=STEP)
        fit(ready, rules, device, resources)
        stitch = ready.task.stitch(ready.model)
        return Passes(
            ready.store,
            lease,
            rules,
            device,
            resources,
            Making(options.model, lease.run_id, ready.model.sample_rate, options.written, stitch),
            ready.identity.fingerprint,
            all_of(bill, watch),
        ).run()


def all_of(*watches: Watch) -> Watch:
    """One that calls each of them."""

    def all_of_them(tally: Tally) -> None:
        for watch in watches:
            watch(tally)

    return all_of_them


def _unwatched(tally: Tally) -> None:
    """Nobody looks on."""


def reread(record: Mapping[str, object]) -> Report:
    """What a run did, from its record; its course and its forecast stay there."""
    known = {each.name for each in fields(Report)} - {"course", "forecast"}
    return Report(**{name: value for name, value in record.items() if name in known})  # type: ignore[arg-type]


def _report(chronicle: Chronicle, tally: Tally, course: Course, ready: Ready) -> Report:
    options, done = chronicle.options, chronicle.done(tally)
    return Report(
        run_id=chronicle.run_id,
        job=type(options).__name__,
        output=options.output,
        **asdict(done),
        padding=tally.padding,
        passes=tally.passes,
        storage=ready.storage,
        settings=asdict(options),
        readers=tally.readers,
        course=course.samples,
        heard_seconds=tally.heard,
        batches=tally.batches,
        idle_share=tally.idle_share,
        splits=tally.splits,
        retries=tally.retries + tally.repeats,
        hourly_cost=done.hourly_cost,
        began=chronicle.began,
        finished=now(),
        forecast=compared(kept(ready.store), tally, course.elapsed),
    )
