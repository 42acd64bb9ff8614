"""From the plan's rows of one shard to its recordings, each with its audio or with the reason why it has none.

The order is the plan's, or the container's, and the ordinals count from 0 without a gap. Nothing is raised for data.
"""

from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa

from pipeline.schema import Recording
from pipeline.sources import loose, nemo_tar, parquet, shar, webdataset

READERS: Mapping[str, Callable[[pa.Table], Iterator[Recording]]] = {
    "webdataset": webdataset.read,
    "nemo-tar": nemo_tar.read,
    "parquet": parquet.read,
    "shar": shar.read,
}
"""How a shard is read, by its format in the plan; all others are loose objects."""


def recordings(rows: pa.Table) -> Iterator[Recording]:
    """Yield the recordings of one shard. Of an empty table, none."""
    if not len(rows):
        return iter(())
    return READERS.get(rows["format"][0].as_py(), loose.read)(rows)
