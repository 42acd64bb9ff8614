"""From the plan's rows of one shard to its recordings, each with its audio or with the reason why it has none.

The order is the plan's, or the container's, and the ordinals count from 0 without a gap. Nothing is raised for data.
Where a container cannot be read on, its last recording says so.
"""

from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa

from pipeline.schema import WITHHELD, Recording
from pipeline.sources import loose, nemo_tar, parquet, shar, webdataset
from pipeline.storage import StoreError

READERS: Mapping[str, Callable[[pa.Table], Iterator[Recording]]] = {
    "webdataset": webdataset.read,
    "nemo-tar": nemo_tar.read,
    "parquet": parquet.read,
    "shar": shar.read,
}
"""How a shard is read, by its format in the plan; all others are loose objects."""


def tried(rows: pa.Table) -> Iterator[Recording]:
    """Yield the recordings of one shard; the failure of one that storage does not give now is withheld."""
    if not len(rows):
        return iter(())
    return READERS.get(rows["format"][0].as_py(), loose.read)(rows)


def recordings(rows: pa.Table) -> Iterator[Recording]:
    """Yield the recordings of one shard; `StoreError` where storage does not give one now. Of an empty table, none."""
    for recording in tried(rows):
        failure = recording.failure
        if failure is not None and failure.status == WITHHELD:
            raise StoreError(failure.kind, failure.message)
        yield recording
