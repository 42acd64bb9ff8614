"""What an output's plans say of a shard: where each recording was read, and from which second on."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from pipeline.output import generations, plan_name
from pipeline.planfile import Place, shard_rows, shards
from pipeline.storage import Store


@dataclass(frozen=True)
class Plans:
    """Where the rows of every planned shard stand; the rows themselves are read when they are asked for."""

    store: Store
    places: Mapping[str, tuple[int, Place]]
    """Generation and place in its plan, by the shard's name."""

    def rows(self, shard: str) -> pa.Table | None:
        """The plan's rows of a shard; None where no plan names it."""
        if shard not in self.places:
            return None
        generation, place = self.places[shard]
        with self.store.open(plan_name(generation)) as file:
            return shard_rows(file, place)


def read_plans(store: Store) -> Plans:
    """Find every shard in the plans of all generations."""
    found: dict[str, tuple[int, Place]] = {}
    for generation in generations(store):
        with store.open(plan_name(generation)) as file:
            found.update((place.shard, (generation, place)) for place in shards(file))
    return Plans(store, found)
