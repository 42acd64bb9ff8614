"""What must be fitted on a sample of the corpus before the corpus is heard."""

from functools import partial

from jobs.setup import Ready, SetupError
from pipeline import machines
from pipeline.inference import Device
from pipeline.log import STEP, tell
from pipeline.output import plan_name
from pipeline.passes import missing_shards
from pipeline.reading import Rules
from pipeline.resources import Resources
from pipeline.units import Clusters


def fit(ready: Ready, rules: Rules, device: Device, resources: Resources) -> None:
    """Fit it on a worker, unless an earlier run has."""
    task = ready.task
    if not isinstance(task, Clusters) or task.fitted(ready.store):
        return
    work = [
        {
            "plan": plan_name(generation),
            "shard": place.shard,
            "row_group": place.row_group,
            "first": place.first,
            "rows": place.rows,
            "done": [],
        }
        for _, (generation, place) in sorted(missing_shards(ready.store).items())
    ]
    tell("fitting the clusters to a sample of the recordings", level=STEP)
    problem = machines.once(partial(task.fit, work, rules, device), resources)
    if problem is not None:
        raise SetupError([f"the clusters cannot be fitted: {problem}"])
