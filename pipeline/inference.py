"""Batches to words, on an actor that holds the model.

A batch that does not fit the device's memory is halved until it does, and a clip that the model cannot take fails
alone. How a batch is split never shows in its words. A device that fails is no clip's fault: this process ends, since
nothing in it can use that device again, and whoever has started it starts another.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import torch

from models import load_model
from models.protocol import Padded, Refused
from pipeline.batches import CROWDED, HEARD, Inputs, clips, keys, outage, told
from pipeline.bucketing import padding
from pipeline.deadline import deadline
from pipeline.decoding import SILENT, Fields, refused
from pipeline.room import Room
from pipeline.staying import Leave, stay
from pipeline.storage import StoreError
from pipeline.tasks import Joint, Row, Task, Transcription

Heard = dict[int, Fields | Refused]
NO_ROOM = Refused(CROWDED.message)
"""For a clip that the device's memory did not hold, though it was alone."""
SHORT = ("allocate memory", "ALLOC_FAILED", "CUDA error: out of memory")
"""How errors that have no type of their own say that memory ran out."""
end = os._exit
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
    patience: float = PATIENCE


class Listener:
    """Hears batches."""

    def __init__(self, where: Device, leave: Leave = stay) -> None:
        if where.device == "cpu":
            torch.set_num_threads(where.threads)
        self.where, self.leave = where, leave
        self.model = load_model(where.model, where.dtype, where.device, allow_pickle=where.allow_pickle)
        self._free, self._splits, self._room = time.monotonic(), 0, Room()

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
        except RuntimeError as error:
            if is_lost(error):
                _leave(error)
            raise
        seconds = {index: self._seconds(inputs[index]) for index in there}
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
            with deadline(self.where.patience):
                found = self._heard([inputs[index] for index in part], [owners[index] for index in part])
                heard.update(zip(part, found, strict=True))
        if isinstance(task, Joint):
            with deadline(self.where.patience):
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

    def _heard(self, inputs: Sequence[Inputs], owners: Sequence[Row]) -> Sequence[Fields | Refused]:
        """In halves where the device's memory or the model refuses the whole, or memory is known to."""
        seconds = [self._seconds(clip) for clip in inputs]
        if not self._room.holds(seconds):
            self._splits += 1
            return self._halves(inputs, owners)
        try:
            found = self.where.task.hear(self.model, padded(inputs), owners)
        except (RuntimeError, ValueError, MemoryError) as error:
            if is_lost(error):
                raise
            said, short = str(error), is_memory(error)
        else:
            self._room.held()
            return found
        if short:
            self._room.lacked(seconds)
        if self.where.device != "cpu":
            torch.cuda.empty_cache()
        if len(inputs) == 1:
            return [NO_ROOM if short else Refused(said.partition("\n")[0])]
        self._splits += short
        return self._halves(inputs, owners)

    def _halves(self, inputs: Sequence[Inputs], owners: Sequence[Row]) -> Sequence[Fields | Refused]:
        half = len(inputs) // 2
        return [*self._heard(inputs[:half], owners[:half]), *self._heard(inputs[half:], owners[half:])]

    def _seconds(self, clip: Inputs) -> float:
        return len(clip) * self.model.frontend.hop / self.model.sample_rate


def padded(inputs: Sequence[Inputs]) -> Padded:
    """Clips as one tensor."""
    rows = [torch.from_numpy(clip.copy()) for clip in inputs]
    lengths = torch.tensor([len(clip) for clip in inputs])
    return Padded(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths, (None,) * len(inputs))


def is_memory(error: Exception) -> bool:
    """Whether it is memory that ran out: the device's, or, on a CPU, the machine's."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(said in str(error) for said in SHORT)


def is_lost(error: Exception) -> bool:
    """Whether the device failed: then whatever this process asks of it fails, too."""
    return not is_memory(error) and (isinstance(error, torch.AcceleratorError) or "CUDA error" in str(error))


def _leave(error: Exception) -> None:
    print(f"the device is lost, and this process with it: {error}", file=sys.__stderr__, flush=True)
    end(1)


def _outages(owners: Sequence[Row], message: str) -> pa.Table:
    """The storage failed, which is no recording's fault: a row for each shard that is concerned."""
    shards = sorted({str(owner["shard"]) for owner in owners})
    rows = [{"key": outage(shard, message).key, **SILENT, "seconds": 0.0, "padding": 0.0} for shard in shards]
    return pa.Table.from_pylist(rows, HEARD)


def _row(owner: Row, heard: Fields | Refused) -> Row:
    if isinstance(heard, Refused):
        why = CROWDED if heard == NO_ROOM else refused(heard)
        return {"key": {**owner, "failure": told(why)}, **SILENT}
    return {"key": owner, **SILENT, **heard}
