"""A generation added as a run adds it: with the lease."""

from jobs import planning
from jobs.planning import Planning
from pipeline.lease import Lease
from pipeline.planfile import Planned
from pipeline.storage import Store


def add(what: Planning, store: Store) -> Planned:
    """Write the next generation."""
    with Lease(store, "run") as lease:
        return planning.add(what, store, lease)
