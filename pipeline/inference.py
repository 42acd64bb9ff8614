"""Batches to words, on an actor that holds the model.

A batch that does not fit the device's memory is halved until it does, and a clip that the model cannot take fails
alone. How a batch is split never shows in its words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import torch

from models import load_model
from models.protocol import Padded, Prediction, Refused, Search
from pipeline.batches import HEARD, Inputs, clips, keys, told
from pipeline.bucketing import padding
from pipeline.deadline import deadline
from pipeline.decoding import SILENT, decoded, refused

Row = Mapping[str, object]
PATIENCE = 600.0
"""Seconds after which a batch may be taken for one that never ends."""


@dataclass(frozen=True)
class Device:
    """Where and how the model runs."""

    model: str
    dtype: str = "float32"
    device: str = "cpu"
    threads: int = 1
    """Threads of each actor on a CPU."""
    search: Search | None = None
    allow_pickle: bool = False


class Listener:
    """Hears batches."""

    def __init__(self, where: Device) -> None:
        if where.device == "cpu":
            torch.set_num_threads(where.threads)
        self.where = where
        self.model = load_model(where.model, where.dtype, where.device, allow_pickle=where.allow_pickle)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """One batch -> a row for each of its segments, in its order."""
        inputs, owners = clips(batch), keys(batch).to_pylist()
        heard = [index for index, clip in enumerate(inputs) if len(clip)]
        with deadline(PATIENCE):
            predictions = dict(zip(heard, self._predict([inputs[index] for index in heard]), strict=True))
        rate, hop = self.model.sample_rate, self.model.frontend.hop
        seconds = {index: len(inputs[index]) * hop / rate for index in heard}
        waste = padding(list(seconds.values()))
        rows = [
            {**self._row(owner, predictions.get(index)), "seconds": seconds.get(index, 0.0), "padding": waste}
            for index, owner in enumerate(owners)
        ]
        return pa.Table.from_pylist(rows, HEARD)

    def _row(self, owner: Row, prediction: Prediction | None) -> Row:
        if prediction is None:
            return {"key": owner, **SILENT}
        if isinstance(prediction, Refused):
            return {"key": {**owner, "failure": told(refused(prediction))}, **SILENT}
        start, samples = int(str(owner["start"])), int(str(owner["samples"]))
        return {"key": owner, **decoded(self.model, prediction, start, samples)}

    def _predict(self, inputs: Sequence[Inputs]) -> Iterator[Prediction]:
        """In halves where the device's memory or the model refuses the whole."""
        if not inputs:
            return
        try:
            yield from self.model.predict(self._padded(inputs), self.where.search)
        except (RuntimeError, ValueError) as error:
            if len(inputs) == 1:
                yield Refused(str(error).splitlines()[0])
                return
        else:
            return
        if self.where.device != "cpu":
            torch.cuda.empty_cache()
        half = len(inputs) // 2
        yield from self._predict(inputs[:half])
        yield from self._predict(inputs[half:])

    def _padded(self, inputs: Sequence[Inputs]) -> Padded:
        rows = [torch.from_numpy(clip.copy()) for clip in inputs]
        lengths = torch.tensor([len(clip) for clip in inputs])
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return Padded(padded, lengths, (None,) * len(inputs))
