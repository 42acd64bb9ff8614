"""What each job that hears audio is told of its inputs, its output and its model."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from cyclopts import Parameter

MANY = Parameter(negative="")
"""An option that may be named several times, and not emptied."""


@dataclass(frozen=True)
class Corpus:
    """What is heard, with what, and where the table goes."""

    inputs: Annotated[tuple[str, ...], MANY]
    """Folders, files, globs, manifests, tars, Parquet files; local paths or URLs."""
    output: Annotated[str, Parameter(alias="-o")]
    """The folder or URL that the table is written under. A run that was interrupted goes on there."""
    model: Annotated[str, Parameter(alias="-m")]
    """A checkpoint: a folder, s3://bucket/folder or hf://org/name@revision."""
    _: KW_ONLY
    format: str | None = None
    """What the inputs are, where looking at them is not enough: audio, nemo, parquet, webdataset, commonvoice,
    librispeech, kaldi, lhotse or shar."""
    shard_size: int = 1024
    """Loose recordings of a shard."""

    def _corpus(self) -> Iterator[str]:
        """Values that no corpus could have."""
        if self.shard_size < 1:
            yield f"shard_size is {self.shard_size}: it must be 1 or more"
