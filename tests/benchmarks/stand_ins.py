"""Stand-ins for reader and model: numbers for recordings, and the same said of each, for next to nothing."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain, islice

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.batches import HEARD, Ready, census, folded, keys, pack
from pipeline.inference import Device
from pipeline.reading import Reader, Rules
from pipeline.staying import Leave, stay

RATE = 16_000
SECONDS = 5
"""Of each recording, if it were one."""
TOGETHER = 256
"""Recordings of a batch."""
WORDS = "so much for the words of a recording that nobody made"


class Numbers(Reader):
    """Stands where the reader stands: reads the plan, and no audio."""

    def __init__(self, rules: Rules, leave: Leave = stay) -> None:
        self.rules, self.group = rules, lru_cache(1)(self._group)

    def __call__(self, work: pa.Table) -> Iterator[pa.Table]:
        """Shards to batches."""
        made = chain.from_iterable(map(self._shard, work.to_pylist()))
        while batch := list(islice(made, TOGETHER)):
            yield pack(batch)

    def _shard(self, shard: Mapping[str, object]) -> Iterator[Ready]:
        arrived, rows = set(shard["done"] or ()), self._rows(shard).select(["recording_id", "uri"]).to_pylist()
        yield from (number(shard["shard"], at, row) for at, row in enumerate(rows) if at not in arrived)
        yield census(shard["shard"], len(rows))


def number(shard: str, ordinal: int, row: dict[str, str]) -> Ready:
    """A recording without audio."""
    samples = SECONDS * RATE
    whole = {"start": 0, "samples": samples, "core_begin": 0, "core_end": samples, "total": samples}
    place = {"shard": shard, "ordinal": ordinal, "channels": 1, "index": 0, "last": True}
    return Ready({**place, **whole, "recording_id": row["recording_id"], "uri": row["uri"]}, None)


class Echo:
    """Stands where the model stands: says the same of everything, and next to nothing for it."""

    def __init__(self, where: Device, leave: Leave = stay) -> None:
        words = [
            {"word": word, "start": at * RATE // 4, "end": (at + 1) * RATE // 4, "confidence": 0.5}
            for at, word in enumerate(WORDS.split())
        ]
        effort = {"heard": 1, "busy": 0.0, "idle": 0.0, "splits": 0, "retries": 0, "reading": 0.0}
        said = {"text": WORDS, "words": words, "seconds": float(SECONDS), "padding": 0.0}
        silent = {"seconds": 0.0, "padding": 0.0}
        self.either = pa.Table.from_pylist([said | {"effort": effort}, said, silent], HEARD.remove(0))

    def __call__(self, batch: pa.Table) -> pa.Table:
        """One batch to a row for each of its recordings."""
        owners = keys(batch)
        spoken = pc.struct_field(owners, "census").is_null()
        which = pc.if_else(spoken, 1, 2).to_numpy(zero_copy_only=False).copy()
        which[0] *= which[0] - 1  # the first of the spoken tells the effort
        return folded(self.either.take(which).add_column(0, HEARD.field("key"), owners))
