"""What the readers of tars and Parquet files share: what the plan says of a container, and its recordings' names."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from pipeline.inputs.containers import ROWS
from pipeline.inputs.rows import Json, readable
from pipeline.schema import Failure, Recording


@dataclass(frozen=True)
class Container:
    """One row of the plan without a recording's id."""

    shard: str
    uri: str
    begin: int
    """First byte."""
    end: int | None
    """One past the last byte, where it is a part."""
    row_group: int | None
    inside: Mapping[str, Json]
    """What the planner left for the reader."""

    @property
    def prefix(self) -> str:
        """How the ids of its recordings begin."""
        return str(self.inside["prefix"])

    @property
    def planned(self) -> int:
        """Recordings that the planner saw, where it looked; else 0."""
        return int(str(self.inside.get(ROWS, 0)))

    def said(self, what: str) -> str | None:
        """A column that the planner or the user named."""
        value = self.inside.get(what)
        return value if isinstance(value, str) else None

    def failed(self, name: str, failure: Failure) -> Recording:
        """A recording of it that cannot be read."""
        return Recording(
            self.shard, 0, f"{self.prefix}/{readable(name)}", f"{self.uri}#{readable(name)}", None, failure=failure
        )


def container(rows: pa.Table) -> Container:
    """The one row of a container's shard."""
    row = rows.slice(0, 1).to_pylist()[0]
    inside = json.loads(row["extra"])
    return Container(row["shard"], row["uri"], row["begin_byte"] or 0, row["end_byte"], row["row_group"], inside)


def numbered(recordings: Iterable[Recording]) -> Iterator[Recording]:
    """Count the recordings of a shard, and give those whose name was there before another one."""
    seen: set[str] = set()
    for ordinal, recording in enumerate(recordings):
        name, count = recording.recording_id, 1
        while name in seen:
            count += 1
            name = f"{recording.recording_id}~{count}"
        seen.add(name)
        yield replace(recording, ordinal=ordinal, recording_id=name)
