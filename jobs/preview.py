"""`--dry-run`: everything is checked and planned, a sample is measured, and no cluster is started.

All that is written is a probe of the output, and the forecast, which the run is then held against.
"""

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
from pipeline.resources import Asked, Resources, UnfitError
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
    here = {"CPU": _cores(options), "GPU": float(torch.cuda.device_count())}
    try:
        resources = resources_of([here], _asked(options))
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
    hourly = _hourly(options, resources)
    away = options.address is not None
    told = foretold(survey, found, resources, hourly, elsewhere=away, fitted=_fitted(ready))
    return replace(told, unpriced=bool(options.prices) and hourly is None)


def _fitted(ready: Ready) -> float:
    """Seconds of audio that clusters are fitted to, at most, before anything is heard."""
    task = ready.task
    return 60 * task.sample.minutes if isinstance(task, Clusters) and not task.fitted(ready.store) else 0.0


def _hourly(options: Work, resources: Resources) -> float | None:
    """What the machines of the whole pool cost an hour; None where no price is for their kind.

    Of a cluster nothing is known but how many models there shall be: its machines are taken to be of this one's kind,
    with a model on each core or GPU, one GPU a machine, and a head beside them, which is a machine without a GPU.
    """
    prices, models = Prices(options.prices), resources.listeners[1]
    there = bool(resources.listener_gpus) or (options.address is not None and options.device == "cuda")
    machine, head = prices.of((GPU if there else CPU,)), prices.of((CPU,)) or 0.0
    if machine is None or options.address is None:
        return machine
    each = 1 if there else max(1, int(_cores(options)))
    return head + machine * -(-models // each)


def _cores(options: Work) -> float:
    return float(options.cpus or os.cpu_count() or 1)


def _asked(options: Work) -> Asked:
    """Of this machine, which may be another than the run will have."""
    device = "cuda" if options.device != "cpu" and torch.cuda.is_available() else "cpu"
    return Asked(device, options.bounds) if options.address else replace(asked(options), device=device)
