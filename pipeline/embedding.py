"""Recordings as vectors: the mean over their frames at a layer, and if asked for, the frames themselves.

The mean travels to the table. Frames would choke it: the worker that hears a piece writes them, once, as a file of its
own whose name follows from the piece, so that a piece that is heard again finds its file there.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from models import SpeechModel
from models.protocol import Padded, Refused
from pipeline.audio.rules import AudioRules
from pipeline.decoding import SILENT, Fields
from pipeline.own import core, place
from pipeline.schema import EMPTY, OK
from pipeline.stitching import Making, Piece, Row, Stitch
from pipeline.storage import Store

FRAMES = "stenopool.frames"
"""The key in a file's footer by which its like are known, and passed over where audio is looked for."""
NUMBERS = {"float16": np.float16, "float32": np.float32}


@dataclass(frozen=True)
class Frames:
    """Frame vectors beside the table."""

    output: str | None
    """The URL of the job's output; None writes them nowhere."""
    layers: tuple[int, ...]
    """As `hidden_states` numbers them: 0 is what the first layer reads."""
    dtype: str = "float32"


@dataclass(frozen=True)
class Embedding:
    """Speech to vectors."""

    layer: int | None = None
    """Whose frames are averaged; None is the encoder's output."""
    frames: Frames | None = None
    """Where frames go, and which."""

    def rehearsed(self) -> "Embedding":
        """The same work, of which nothing is left in the output."""
        return self if self.frames is None else replace(self, frames=replace(self.frames, output=None))

    def flaws(self, model: SpeechModel) -> Iterator[str]:
        """Layers that it does not have."""
        asked = [self.layer, *(self.frames.layers if self.frames else ())]
        depth = model.encoder.depth
        for layer in asked:
            if layer is not None and not 0 <= layer <= depth:
                yield f"layer {layer} was asked for, and it has 0 (what the first layer reads) to {depth}"

    def audio(self, model: SpeechModel, rules: AudioRules) -> AudioRules:
        """Pieces with context, of which frames are left out by their times."""
        return rules

    def stitch(self, model: SpeechModel) -> Stitch:
        """One vector of all pieces."""
        return Pooled()

    def hear(self, model: SpeechModel, batch: Padded, owners: Sequence[Row]) -> Sequence[Fields | Refused]:
        """Each piece's own mean and its weight; its own frames are written."""
        layers = [self.layer, *(self.frames.layers if self.frames else ())]
        found = model.vectors(batch, layers)
        return [
            clip if isinstance(clip, Refused) else self._fields(model, clip, owner)
            for clip, owner in zip(found, owners, strict=True)
        ]

    def _fields(self, model: SpeechModel, clip: Sequence[Tensor], owner: Row) -> Fields:
        own = own_frames(model, self.layer, clip[0], owner)
        if not len(own):
            return SILENT
        fields = {**SILENT, "vector": own.double().mean(0).float().numpy(), "weight": len(own)}
        return fields if self.frames is None else {**fields, "file": _written(self.frames, model, clip[1:], owner)}


class Pooled:
    """The pieces' means by their frames."""

    def row(self, pieces: Sequence[Piece], making: Making) -> Row:
        """The vector, and the files that hold frames, in the order of time."""
        heard = [piece for piece in pieces if piece.vector is not None]
        if not heard:
            return {"status": EMPTY}
        vectors = np.array([piece.vector for piece in heard], np.float64)
        pooled = np.average(vectors, axis=0, weights=[piece.weight for piece in heard])
        files = [piece.file for piece in heard if piece.file]
        return {"status": OK, "embedding": pooled.astype(np.float32).tolist(), "frame_files": files or None}


def own_frames(model: SpeechModel, layer: int | None, frames: Tensor, owner: Row) -> Tensor:
    """The frames of a layer that a piece answers for."""
    return frames[model.layer_clock(layer).owned(len(frames), place(owner)[0], core(owner))]


def frames_name(owner: Row) -> str:
    """The file of a piece's frames, in the output."""
    channel = "" if owner["channel"] is None else f"-{owner['channel']}"
    return f"frames/{owner['shard']}/{owner['ordinal']:06}{channel}-{owner['index']:05}.parquet"


def _written(frames: Frames, model: SpeechModel, layers: Sequence[Tensor], owner: Row) -> str:
    """Write a piece's own frames: a row each, with the second at which it begins and a column for every layer."""
    clock, start = model.layer_clock(frames.layers[0]), place(owner)[0]
    own = clock.owned(len(layers[0]), start, core(owner))
    starts = start + clock.first + clock.step * np.arange(own.start, own.stop, dtype=np.int64)
    columns: dict[str, pa.Array] = {"start": pa.array(starts.clip(0) / model.sample_rate)}
    for number, layer in zip(frames.layers, layers, strict=True):
        flat = layer[own].numpy().astype(NUMBERS[frames.dtype]).reshape(-1)
        columns[f"layer_{number}"] = pa.FixedSizeListArray.from_arrays(pa.array(flat), layer.shape[1])
    sink = io.BytesIO()
    name = frames_name(owner)
    pq.write_table(pa.table(columns, metadata={FRAMES: name}), sink, compression="zstd")
    if frames.output is not None:
        _store(frames.output).create(name, sink.getvalue())
    return name


@cache
def _store(url: str) -> Store:
    return Store(url)
