"""An output that is there to be worked on, whole or not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow.parquet as pq

from jobs.refusals import Problem, SetupError
from pipeline.knocking import knock
from pipeline.output import done, generations, plan_name, read_identity
from pipeline.storage import Store, StoreError

TEXTLESS: Mapping[str, str] = {"label": "labels", "embed": "vectors", "units": "units"}
"""What outputs hold that have no text, by the jobs that write them."""


@dataclass(frozen=True)
class Finished:
    """An output, and how much of it is there."""

    store: Store
    shards: int
    """Planned."""
    missing: int
    """Planned, without a file."""

    job: str
    """The command that wrote it."""

    @property
    def textless(self) -> str:
        """What it holds instead of texts; nothing where it holds texts."""
        return TEXTLESS.get(self.job, "")

    @property
    def note(self) -> str:
        """What a reader of figures must know; nothing where it is whole."""
        if not self.missing:
            return ""
        return (
            f"The output is not finished: {self.missing:,} of {self.shards:,} shards are missing. This is of what is "
            "there; the job that writes it goes on when it is run again."
        )


def opened(output: str) -> Finished:
    """Look at an output; `SetupError` where there is none, or nothing in it."""
    try:
        store = Store(output)
        knock(output)
        job = str(read_identity(store).options.get("job", "transcribe"))
        there = set(done(store))
        planned = set(_planned(store))
    except StoreError as error:
        raise SetupError([unheld(output, error)]) from error
    found = Finished(store, len(planned | there), len(planned - there), job)
    if not there:
        planned_are = "1 shard is" if found.missing == 1 else f"{found.missing:,} shards are"
        raise SetupError([f"{output} has no rows yet: {planned_are} planned, and none is done"])
    return found


def unheld(output: str, error: StoreError) -> Problem:
    """What to say of an output that cannot be read: none is there, unless it is the storage that fails."""
    return error if error.passing else f"{output} holds no output of steno: {error}"


def _planned(store: Store) -> Iterator[str]:
    for number in generations(store):
        with store.open(plan_name(number)) as file, pq.ParquetFile(file, pre_buffer=False) as plan:
            for batch in plan.iter_batches(columns=["shard"]):
                yield from batch["shard"].unique().to_pylist()
