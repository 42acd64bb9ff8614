"""Batches to words, on an actor that holds the model.

A batch that does not fit the device's memory is halved until it does, and a clip that the model cannot take fails
alone. How a batch is split never shows in its words.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import torch

from models import load_model
from models.protocol import Padded, Refused
from pipeline.batches import HEARD, Inputs, clips, keys, outage, told
from pipeline.bucketing import padding
from pipeline.deadline import deadline
from pipeline.decoding import SILENT, Fields, refused
from pipeline.staying import Leave, stay
from pipeline.storage import StoreError
from pipeline.tasks import Joint, Row, Task, Transcription

Heard = dict[int, Fields | Refused]
AT_ONCE = 8
"""Pieces of whole recordings that are padded together."""
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
    task: Task = field(default_factory=Transcription)
    """What is made of the batches."""
    allow_pickle: bool = False


class Listener:
    """Hears batches."""

    def __init__(self, where: Device, leave: Leave = stay) -> None:
        if where.device == "cpu":
            torch.set_num_threads(where.threads)
        self.where, self.leave = where, leave
        self.model = load_model(where.model, where.dtype, where.device, allow_pickle=where.allow_pickle)
        self._free, self._splits = time.monotonic(), 0

    def __call__(self, batch: pa.Table) -> pa.Table:
        """One batch -> a row for each of its segments, in its order."""
        self.leave()
        began, self._splits = time.monotonic(), 0
        inputs, owners = clips(batch), keys(batch).to_pylist()
        there = [index for index, clip in enumerate(inputs) if len(clip)]
        try:
            heard = self._all_heard(inputs, owners, there)
        except StoreError as error:  # of a task that writes beside the table; a later pass hears it again
            return _outages(owners, str(error))
        rate, hop = self.model.sample_rate, self.model.frontend.hop
        seconds = {index: len(inputs[index]) * hop / rate for index in there}
        waste = padding(list(seconds.values()))
        rows = [
            {**_row(owner, heard.get(index, SILENT)), "seconds": seconds.get(index, 0.0), "padding": waste}
            for index, owner in enumerate(owners)
        ]
        return pa.Table.from_pylist([{**rows[0], "effort": self._effort(batch, began, len(there))}, *rows[1:]], HEARD)

    def _all_heard(self, inputs: Sequence[Inputs], owners: Sequence[Row], there: Sequence[int]) -> Heard:
        """What each segment with inputs gives, by its place; of whole recordings, some at a time."""
        heard: Heard = {}
        task, most = self.where.task, len(there) or 1
        if isinstance(task, Joint):
            there, most = sorted(there, key=lambda index: -len(inputs[index])), AT_ONCE
        for begin in range(0, len(there), most):
            part = there[begin : begin + most]
            with deadline(PATIENCE):
                found = self._heard([inputs[index] for index in part], [owners[index] for index in part])
                heard.update(zip(part, found, strict=True))
        if isinstance(task, Joint):
            with deadline(PATIENCE):
                each = [heard.get(index, SILENT) for index in range(len(owners))]
                heard = dict(enumerate(task.settle(self.model, owners, each)))
        return heard

    def _effort(self, batch: pa.Table, began: float, clips: int) -> Row:
        """What this batch took, and how long the device had waited for it."""
        waited, self._free = began - self._free, time.monotonic()
        return {
            "heard": int(clips > 0),
            "busy": self._free - began,
            "idle": waited,
            "splits": self._splits,
            "retries": batch["retries"][0].as_py(),
            "reading": batch["reading"][0].as_py(),
        }

    def _heard(self, inputs: Sequence[Inputs], owners: Sequence[Row]) -> Iterator[Fields | Refused]:
        """In halves where the device's memory or the model refuses the whole."""
        if not inputs:
            return
        try:
            yield from self.where.task.hear(self.model, padded(inputs), owners)
        except (RuntimeError, ValueError) as error:
            if len(inputs) == 1:
                yield Refused(str(error).splitlines()[0])
                return
            self._splits += is_memory(error)
        else:
            return
        if self.where.device != "cpu":
            torch.cuda.empty_cache()
        half = len(inputs) // 2
        yield from self._heard(inputs[:half], owners[:half])
        yield from self._heard(inputs[half:], owners[half:])


def padded(inputs: Sequence[Inputs]) -> Padded:
    """Clips as one tensor."""
    rows = [torch.from_numpy(clip.copy()) for clip in inputs]
    lengths = torch.tensor([len(clip) for clip in inputs])
    return Padded(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths, (None,) * len(inputs))


def is_memory(error: Exception) -> bool:
    """Whether it is the device's memory that ran out; on a CPU torch says so in words only."""
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)


def _outages(owners: Sequence[Row], message: str) -> pa.Table:
    """The storage failed, which is no recording's fault: a row for each shard that is concerned."""
    shards = sorted({str(owner["shard"]) for owner in owners})
    rows = [{"key": outage(shard, message).key, **SILENT, "seconds": 0.0, "padding": 0.0} for shard in shards]
    return pa.Table.from_pylist(rows, HEARD)


def _row(owner: Row, heard: Fields | Refused) -> Row:
    if isinstance(heard, Refused):
        return {"key": {**owner, "failure": told(refused(heard))}, **SILENT}
    return {"key": owner, **SILENT, **heard}
