"""How much audio a plan holds, as far as it says, and a fair sample of its recordings."""

import random
from collections.abc import Collection, Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

SAMPLE = 64
"""Rows of the plan that may be read."""
EACH = 4
"""Of one shard, so that a single large one does not stand for all."""


class Survey:
    """Looks at the shards of a plan as they pass by."""

    def __init__(self, done: Collection[str]) -> None:
        self.done = done
        self.timed = 0.0
        """Seconds that the input tells: of recordings, not of what models hear of them."""
        self.bytes = 0
        """Bytes of audio whose length it does not tell."""
        self.unsized = 0
        """Recordings of which it tells neither."""
        self.weight = 0
        """Bytes of everything that is left to do."""
        self.sample: list[pa.Table] = []
        """Rows of the plan, one each."""
        self._seen, self._chance = 0, random.Random(0)  # noqa: S311  # a sample, no secret

    def passing(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """The same tables, each looked at."""
        for table in tables:
            if table["shard"][0].as_py() not in self.done:
                self._take(table)
            yield table

    def _take(self, table: pa.Table) -> None:
        sizes = table["bytes"].fill_null(0)
        self.weight += max(1, pc.sum(sizes).as_py() or 0)
        readable = table.filter(table["error"].is_null())
        if not len(readable):
            return
        untimed = readable.filter(readable["duration"].is_null())
        self.timed += pc.sum(readable["duration"]).as_py() or 0.0
        self.bytes += pc.sum(untimed["bytes"]).as_py() or 0
        self.unsized += untimed["bytes"].null_count
        for row in self._chance.sample(range(len(readable)), min(EACH, len(readable))):
            self._keep(readable.slice(row, 1))

    def _keep(self, row: pa.Table) -> None:
        """Each row that is offered has the same chance to stay."""
        self._seen += 1
        if len(self.sample) < SAMPLE:
            self.sample.append(row)
        elif (place := self._chance.randrange(self._seen)) < SAMPLE:
            self.sample[place] = row
