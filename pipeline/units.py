"""Recordings as discrete units: the nearest centroid of each frame, or the codes of a model's own code book.

The centroids are fitted once for an output, before anything is heard, on a sample of its corpus; they lie beside the
table, and whoever goes on with the output uses them.
"""

import io
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from models import SpeechModel, load_model
from models.protocol import Padded, Refused, Units
from models.quantizer import Quantizer
from pipeline.audio.rules import AudioRules
from pipeline.batches import clips, keys
from pipeline.decoding import SILENT, Fields
from pipeline.embedding import own_frames
from pipeline.inference import Device, padded
from pipeline.kmeans import TooFewError, fit, nearest
from pipeline.reading import WORK, Reader, Rules
from pipeline.schema import EMPTY, OK
from pipeline.stitching import Making, Piece, Row, Stitch
from pipeline.storage import Store

CENTROIDS = "units/centroids.npy"
"""Beside the table: (clusters, width), float32."""


@dataclass(frozen=True)
class Sample:
    """What centroids are fitted on."""

    minutes: float = 60.0
    """Audio that is heard, at most; the shards come in an order drawn from the seed."""
    seed: int = 0


@dataclass(frozen=True)
class Clusters:
    """Speech to the numbers of centroids."""

    output: str | None
    """The URL of the job's output, where the centroids lie; None takes some that mean nothing."""
    layer: int | None = None
    """Whose frames are clustered; None is the encoder's output."""
    clusters: int = 100
    sample: Sample = Sample()
    stitch_units: Stitch | None = None
    """How pieces become a row; None keeps a unit for every frame."""

    def rehearsed(self) -> "Clusters":
        """The same work, in the same time, before anything is fitted."""
        return replace(self, output=None)

    def flaws(self, model: SpeechModel) -> Iterator[str]:
        """A layer that it does not have."""
        depth = model.encoder.depth
        if self.layer is not None and not 0 <= self.layer <= depth:
            yield f"layer {self.layer} was asked for, and it has 0 (what the first layer reads) to {depth}"

    def audio(self, model: SpeechModel, rules: AudioRules) -> AudioRules:
        """Pieces with context, of which frames are left out by their times."""
        return rules

    def stitch(self, model: SpeechModel) -> Stitch:
        """One sequence of all pieces."""
        return self.stitch_units or Every()

    def hear(self, model: SpeechModel, batch: Padded, owners: Sequence[Row]) -> Sequence[Fields | Refused]:
        """The unit of each frame that a piece answers for."""
        rows = zip(model.vectors(batch, [self.layer]), owners, strict=True)
        return [
            clip if isinstance(clip, Refused) else self._fields(self._own(model, clip, owner)) for clip, owner in rows
        ]

    def fitted(self, store: Store) -> bool:
        """Whether the centroids are there."""
        return CENTROIDS in {entry.uri for entry in store.names("units")}

    def fit(self, work: Sequence[Mapping[str, object]], rules: Rules, device: Device) -> str | None:
        """Fit and keep the centroids, on a worker; what is wrong with the sample, if something is."""
        assert self.output is not None  # what is rehearsed is not fitted
        if device.device == "cpu":
            torch.set_num_threads(device.threads)
        model = load_model(device.model, device.dtype, device.device, allow_pickle=device.allow_pickle)
        try:
            centroids = fit(self._sampled(work, rules, model), self.clusters, self.sample.seed)
        except TooFewError as error:
            return str(error)
        file = io.BytesIO()
        np.save(file, centroids.float().numpy())
        Store(self.output).create(CENTROIDS, file.getvalue())
        return None

    def _sampled(self, work: Sequence[Mapping[str, object]], rules: Rules, model: SpeechModel) -> Iterator[Tensor]:
        """Frames of the first shards in the seed's order, until there is enough.

        Everything is read with care: the sample is the same in every run, and so is a file in it that kills its reader.
        """
        reader, left = Reader(replace(rules, apart=True)), self.sample.minutes * 60
        for shard in random.Random(self.sample.seed).sample(list(work), len(work)):  # noqa: S311
            for batch in reader(pa.Table.from_pylist([dict(shard)], WORK)):
                pieces = list(zip(clips(batch), keys(batch).to_pylist(), strict=True))
                heard = [(clip, owner) for clip, owner in pieces if len(clip)]
                if heard:
                    found = model.vectors(padded([clip for clip, _ in heard]), [self.layer])
                    rows = zip(found, (owner for _, owner in heard), strict=True)
                    yield from (self._own(model, f, owner) for f, owner in rows if not isinstance(f, Refused))
                    left -= sum(len(clip) for clip, _ in heard) * model.frontend.hop / model.sample_rate
                if left <= 0:
                    return

    def _own(self, model: SpeechModel, clip: Sequence[Tensor], owner: Row) -> Tensor:
        return own_frames(model, self.layer, clip[0], owner)

    def _fields(self, own: Tensor) -> Fields:
        there = _stand_ins(self.clusters, own.shape[1]) if self.output is None else _centroids(self.output)
        return _fields(nearest(own, there))


@dataclass(frozen=True)
class Codes:
    """Speech to a model's own codes.

    Of several code books, a unit is one number: the first book's code times the second's size, plus the second's code,
    and so on.
    """

    stitch_units: Stitch | None = None
    """How pieces become a row; None keeps a unit for every frame."""

    def flaws(self, model: SpeechModel) -> Iterator[str]:
        """No code book."""
        if not isinstance(model.head, Quantizer):
            yield f"a {model.architecture} has no code book: leave out --codes to cluster its frames"

    def audio(self, model: SpeechModel, rules: AudioRules) -> AudioRules:
        """Pieces with context, of which frames are left out by their times."""
        return rules

    def stitch(self, model: SpeechModel) -> Stitch:
        """One sequence of all pieces."""
        return self.stitch_units or Every()

    def hear(self, model: SpeechModel, batch: Padded, owners: Sequence[Row]) -> Sequence[Fields | Refused]:
        """The unit of each frame that a piece answers for."""
        assert isinstance(model.head, Quantizer)
        heard: list[Fields | Refused] = []
        for found, owner in zip(model.predict(batch), owners, strict=True):
            if isinstance(found, Units):
                own = own_frames(model, None, torch.from_numpy(found.codes).long(), owner)
                heard.append(_fields(_one_number(own, model.head.codes)))
            else:
                assert isinstance(found, Refused)
                heard.append(found)
        return heard


class Every:
    """A unit for every frame."""

    def row(self, pieces: Sequence[Piece], making: Making) -> Row:
        """The pieces' units, one after the other."""
        units = _joined(pieces)
        return {"status": OK, "units": units} if units else {"status": EMPTY}


class Runs:
    """Units that follow themselves once, and for how many frames each goes on."""

    def row(self, pieces: Sequence[Piece], making: Making) -> Row:
        """Over the edges of pieces, too."""
        units = np.array(_joined(pieces), np.int32)
        if not len(units):
            return {"status": EMPTY}
        begins = np.flatnonzero(np.append(True, units[1:] != units[:-1]))
        lengths = np.diff(np.append(begins, len(units)))
        return {"status": OK, "units": units[begins].tolist(), "unit_frames": lengths.tolist()}


def _joined(pieces: Sequence[Piece]) -> list[int]:
    return [unit for piece in pieces for unit in piece.units or ()]


def _fields(units: Tensor) -> Fields:
    return {**SILENT, "units": units.tolist()}


def _one_number(codes: Tensor, size: int) -> Tensor:
    """(frames, books) -> (frames,)."""
    unit = torch.zeros(len(codes), dtype=torch.long)
    for book in codes.T:
        unit = unit * size + book
    return unit


@cache
def _stand_ins(clusters: int, width: int) -> Tensor:
    return torch.randn(clusters, width, generator=torch.Generator().manual_seed(0))


@cache
def _centroids(output: str) -> Tensor:
    return torch.from_numpy(np.load(io.BytesIO(Store(output).read(CENTROIDS)), allow_pickle=False))
