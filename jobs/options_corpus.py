"""What each job that hears audio is told of its inputs, its output and its model."""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from cyclopts import Group, Parameter

MANY = Parameter(negative="")
"""An option that may be named several times, and not emptied."""
READING = Parameter(group=Group("How inputs are read", sort_key=10))


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
    roots: Annotated[tuple[str, ...], READING, MANY] = ()
    """Folders or URLs that manifests and tables may name audio in, beside the folder that they lie in themselves. What
    lies elsewhere ends as a failed row: names in a manifest are somebody's data, and could name any file of yours."""
    audio_column: Annotated[str | None, READING] = None
    """The column of Parquet files that holds the audio, its bytes or its paths; without it, the one that looks so."""
    reference_column: Annotated[str | None, READING] = None
    """The column or field that holds what was said; without it, the first of text, sentence, transcript and their
    like."""
    tars: Annotated[str | None, READING] = None
    """The tars of a tarred NeMo manifest, numbered as in `audio__OP_0..127_CL_.tar` or `audio_{0..127}.tar`; without
    it, `audio_<shard_id>.tar` beside the manifest."""
    tar_bytes: Annotated[int, READING] = 4 << 30
    """A tar larger than this is split at members into shards of about a quarter of it."""
    parquet_bytes: Annotated[int, READING] = 512 << 20
    """A Parquet file larger than this is split into its row groups."""
    catalogue: Annotated[int, READING] = 2_000_000
    """Objects below a manifest's folder that may be listed to learn sizes and changes; where there are more, and at 0,
    none is."""

    @property
    def read_from(self) -> tuple[str, ...]:
        """Every place that audio is read from."""
        return (*self.inputs, *self.roots, *(() if self.tars is None else (self.tars,)))

    @property
    def told(self) -> Mapping[str, str | tuple[str, ...]]:
        """What is said of how inputs are read, where it is said: it counts when they are planned."""
        said = {name: getattr(self, name) for name in ("roots", "audio_column", "reference_column", "tars")}
        return {name: value for name, value in said.items() if value}

    def _corpus(self) -> Iterator[str]:
        """Values that no corpus could have."""
        for name, url in (("output", self.output), ("model", self.model)):
            if url.lower().startswith("memory://"):
                yield f"{name} {url}: memory is each process's own: name a folder or a bucket, which workers see"
        for name in ("shard_size", "tar_bytes", "parquet_bytes"):
            if (value := getattr(self, name)) < 1:
                yield f"{name} is {value}: it must be 1 or more"
        if self.catalogue < 0:
            yield f"catalogue is {self.catalogue}: it must be 0 or more"
