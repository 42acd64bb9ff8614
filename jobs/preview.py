"""`--dry-run`: everything is checked and planned, a sample is measured, and no cluster is started.

All that is written is a probe of the output, and the forecast, which the run is then held against.
"""

import math
import os
import tempfile
from dataclasses import dataclass, replace

import torch

from jobs.forecast import Forecast, foretold, keep
from jobs.measuring import measured
from jobs.options import Work
from jobs.planning import Growing, Planning, counted
from jobs.setup import Ready, SetupError, asked, buckets, checked
from jobs.survey import Survey
from jobs.table import aligned, clock
from pipeline.inference import Device
from pipeline.log import STEP, tell
from pipeline.output import done, generations, plan_name
from pipeline.planfile import Planned, read_plan, write_plan
from pipeline.prices import CPU, GPU, Prices
from pipeline.resources import Asked, Offers, Resources, UnfitError
from pipeline.resources import resources as resources_of
from pipeline.storage import Store
from pipeline.tasks import Task
from pipeline.units import Clusters


@dataclass(frozen=True)
class Preview:
    """What a run would do."""

    output: str
    storage: str
    """What the output's store promises."""
    planned: Planned
    """All generations, with what would be added."""
    new: Planned
    """What would be added."""
    gone: int
    """Files that were planned once and are not in the inputs now."""
    shards_done: int
    """Shards that are finished already."""
    forecast: Forecast | None
    """What doing the rest will take; None where nothing is left."""

    def text(self) -> str:
        """A table for people."""
        planned = self.planned
        rows = [
            ("output", self.output),
            ("storage", self.storage),
            ("shards", f"{planned.shards:,}, {self.shards_done:,} of them done"),
            ("new or changed", f"{self.new.rows:,} of {planned.rows:,}"),
            ("gone", f"{self.gone:,} files that are not in the inputs any more: their rows stay"),
            ("recordings", f"{planned.rows - planned.containers:,} known"),
            ("containers", f"{planned.containers:,}, which say how many recordings they hold when they are read"),
            ("refused", f"{planned.failed:,} by the plan itself: they become failed rows"),
            ("size", f"{planned.bytes / 1e6:,.1f} MB of audio, where the input tells"),
            ("audio", self._hours()),
        ]
        grown = planned.shards != self.new.shards
        shown = {
            "containers": planned.containers,
            "refused": planned.failed,
            "gone": self.gone,
            "new or changed": grown,
        }
        rows += [] if self.forecast is None else self.forecast.rows()
        return aligned([row for row in rows if shown.get(row[0], 1)])

    def _hours(self) -> str:
        planned = self.planned
        if not planned.timed:
            return "how long is not known before it is decoded"
        told = f"{clock(planned.seconds)}, as the input tells"
        return told if planned.timed == planned.rows else f"{told} of {planned.timed:,} recordings; the rest is unknown"


def preview(options: Work, task: Task, planning: Planning) -> Preview:
    """Check, plan, and measure a sample; `SetupError` names all that is wrong."""
    ready = checked(options, task, planning)
    store, finished = ready.store, set(done(ready.store))
    survey = Survey(finished)
    with tempfile.TemporaryFile() as file:
        new = write_plan(counted(survey.passing(planning.shards(store))), file)
    total, gone = _total(store, survey, new), _gone(planning, store)
    forecast = _forecast(options, ready, survey) if survey.weight else None
    if forecast is not None:
        keep(store, forecast)
    return Preview(options.output, ready.storage, total, new, gone, len(finished), forecast)


def _total(store: Store, survey: Survey, new: Planned) -> Planned:
    """With all that is planned already."""
    for number in generations(store):
        with store.open(plan_name(number)) as there:
            for table in survey.passing(read_plan(there)):
                new = new.with_shard(table)
    return new


def _gone(planning: Planning, store: Store) -> int:
    return planning.gone(store) if isinstance(planning, Growing) else 0


def _forecast(options: Work, ready: Ready, survey: Survey) -> Forecast:
    """What the rest takes, by a sample that is read and heard here."""
    there = _machines(options)
    try:
        resources = resources_of(there, _asked(options))
    except UnfitError as error:
        raise SetupError(str(error).splitlines()) from error
    patience = options.model_patience_seconds
    where = Device(
        options.model, options.dtype, resources.device, resources.listener_threads, ready.task, patience=patience
    )
    before = torch.get_num_threads()
    tell("reading and hearing a sample, to tell how long it takes", level=STEP)
    large = replace(buckets(options, resources), parts=1)  # as those of a full window are
    found = measured(survey.sample, ready.audio, large, where)
    torch.set_num_threads(before)
    hourly = _hourly(options, resources, len(there))
    told = foretold(survey, found, resources, hourly, elsewhere=options.elsewhere, fitted=_fitted(ready))
    sized = not options.elsewhere or options.bounds is not None
    return replace(told, unpriced=bool(options.prices) and hourly is None, sized=sized)


def _fitted(ready: Ready) -> float:
    """Seconds of audio that clusters are fitted to, at most, before anything is heard."""
    task = ready.task
    return 60 * task.sample.minutes if isinstance(task, Clusters) and not task.fitted(ready.store) else 0.0


def _machines(options: Work) -> Offers:
    """What will run it: this one, or of a cluster as many as the pool fills, and one without a pool.

    Of a cluster nothing is known but how many models there shall be: its machines are taken to be of this one's kind,
    with what is asked for, a model on each core, or one GPU a machine.
    """
    cores = _cores(options)
    if not options.elsewhere:
        return [{"CPU": cores, "GPU": float(torch.cuda.device_count())}]
    cores = max(cores, options.model_cpus or 0.0, options.reader_cpus or 0.0)
    models, each = options.bounds[1] if options.bounds else 1, _asked(options).each
    if not each:
        return [{"CPU": cores}] * math.ceil(models / max(1, int(cores / (options.model_cpus or 1.0))))
    count = math.ceil(models * each if each > 1 else models / int(1 / each))
    return [{"CPU": cores, "GPU": max(1.0, each)}] * count


def _hourly(options: Work, resources: Resources, count: int) -> float | None:
    """What so many machines cost an hour, of a cluster with its head; None where no price is for their kind."""
    prices = Prices(options.prices)
    machine, head = prices.of((GPU if resources.listener_gpus else CPU,)), prices.of((CPU,)) or 0.0
    return machine if machine is None or not options.elsewhere else head + machine * count


def _cores(options: Work) -> float:
    return float(options.cpus or os.cpu_count() or 1)


def _asked(options: Work) -> Asked:
    """What a run asks for; the device is this machine's, which may be another than the run will have."""
    device = "cuda" if options.device != "cpu" and torch.cuda.is_available() else "cpu"
    gpus = 1.0 if options.elsewhere and options.device == "cuda" and options.model_gpus is None else options.model_gpus
    return replace(asked(options), device=device, model_gpus=gpus)
