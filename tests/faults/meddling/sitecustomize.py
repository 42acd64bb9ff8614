"""Read by every process of a run that is to be troubled: breaks what MEDDLE names, as soon as its module is loaded."""

import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

MEDDLE = os.environ.get("MEDDLE", "").split(",")
HANG = 8.0
"""Seconds after which the troubled run takes something for a thing that never ends."""


def decoder_hangs(audio: ModuleType) -> None:
    """Whoever decodes a recording named so is never seen again."""
    segments = audio.segments
    audio.AudioRules.seconds_limit = lambda *_: HANG

    def stuck(recording: object, *rest: object) -> Iterator[object]:
        while named("hangs", recording.uri) and recording.failure is None:  # type: ignore[attr-defined]
            time.sleep(1)
        yield from segments(recording, *rest)

    audio.segments = stuck


def decoder_dies(audio: ModuleType) -> None:
    """Whoever decodes a recording named so dies of it."""
    segments = audio.segments

    def killed(recording: object, *rest: object) -> object:
        if named("segv", recording.uri) and recording.failure is None:  # type: ignore[attr-defined]
            os.kill(os.getpid(), signal.SIGSEGV)
        return segments(recording, *rest)

    audio.segments = killed


def decoder_devours(audio: ModuleType) -> None:
    """Whoever decodes a recording named so wants ten gigabytes; the system kills whom nothing limits."""
    segments = audio.segments

    def greedy(recording: object, *rest: object) -> object:
        if named("devours", recording.uri) and recording.failure is None:  # type: ignore[attr-defined]
            bytearray(10 << 30)
            os.kill(os.getpid(), signal.SIGKILL)
        return segments(recording, *rest)

    audio.segments = greedy


def before_hearing(tasks: ModuleType, name: str, what: Callable[[], None]) -> None:
    """Do it when a batch holds a recording named so."""
    hear = tasks.Transcription.hear

    def troubled(self: object, model: object, batch: object, owners: Sequence[dict[str, str]]) -> object:
        if any(named(name, owner["uri"]) for owner in owners):
            what()
        return hear(self, model, batch, owners)

    tasks.Transcription.hear = troubled


def hearing_is_noted(tasks: ModuleType) -> None:
    """Each recording that a model begins to hear, by the name of its file."""
    hear = tasks.Transcription.hear

    def noted(self: object, model: object, batch: object, owners: Sequence[dict[str, str]]) -> object:
        lines = "".join(f"{owner['recording_id'].rpartition('/')[2]}\n" for owner in owners)
        with open(os.environ["NOTES"], "a") as file:
            file.write(lines)
        return hear(self, model, batch, owners)

    tasks.Transcription.hear = noted


def planning_is_slow(planning: ModuleType) -> None:
    write_plan = planning.write_plan

    def slow(*given: object) -> object:
        time.sleep(3)
        return write_plan(*given)

    planning.write_plan = slow


def inference_hangs(tasks: ModuleType) -> None:
    before_hearing(tasks, "endless", lambda: time.sleep(3600))


def inference_dies(tasks: ModuleType) -> None:
    before_hearing(tasks, "shoots", lambda: os.kill(os.getpid(), signal.SIGKILL))


def device_is_lost(tasks: ModuleType) -> None:
    """By a recording named so, and for whatever its process hears from then on."""
    import torch

    hear, lost = tasks.Transcription.hear, []

    def sticky(self: object, model: object, batch: object, owners: Sequence[dict[str, str]]) -> object:
        if lost or any(named("wrecks", owner["uri"]) for owner in owners):
            lost.append(owners)
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        return hear(self, model, batch, owners)

    tasks.Transcription.hear = sticky


def memory_is_short(tasks: ModuleType) -> None:
    """For the first batch of each process that is more than one clip."""
    import torch

    hear, short = tasks.Transcription.hear, []

    def full(self: object, model: object, batch: object, owners: Sequence[dict[str, str]]) -> object:
        if len(owners) > 1 and not short:
            short.append(owners)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return hear(self, model, batch, owners)

    tasks.Transcription.hear = full


def features_raise(reading: ModuleType) -> None:
    """A mistake of ours, in a place where nobody expects one."""
    features = reading.features

    def raising(segments: object, frontend: object) -> object:
        for ready in features(segments, frontend):
            if named("raises", str(ready.key["uri"])) and ready.key["failure"] is None:
                raise ZeroDivisionError(ready.key["uri"])
            yield ready

    reading.features = raising


def reader_dies(reading: ModuleType) -> None:
    """Outside of the decoder, where nothing isolates it."""
    features = reading.features

    def dying(segments: object, frontend: object) -> object:
        for ready in features(segments, frontend):
            if named("fells", str(ready.key["uri"])):
                os.kill(os.getpid(), signal.SIGKILL)
            yield ready

    reading.features = dying


def readers_are_slow(reading: ModuleType) -> None:
    """So that a test can be quick enough to trouble them."""
    features = reading.features

    def slow(segments: object, frontend: object) -> object:
        for ready in features(segments, frontend):
            time.sleep(0.3)
            yield ready

    reading.features = slow


def balance_is_not_checked(committing: ModuleType) -> None:
    committing.balance = lambda *_: None


def a_row_is_lost(gathering: ModuleType) -> None:
    """On its way from what was heard to the commit."""
    finish = gathering.Gathering._finish

    def losing(self: object, name: str) -> object:
        whole = finish(self, name)
        return gathering.Whole(whole.shard, whole.table.slice(1), whole.expected)

    gathering.Gathering._finish = losing


def create_overwrites(disk: ModuleType) -> None:
    def create(self: object, path: str, payload: bytes) -> bool:
        self.put(path, payload)  # type: ignore[attr-defined]
        return True

    disk.Disk.create = create


def disk_fails(disk: ModuleType) -> None:
    """Under whoever reads on in a file named so."""
    import errno
    import io

    class File(io.FileIO):
        def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
            if named("scratched", str(self.name)) and self.tell():
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().readinto(buffer)

    disk.Disk.open = lambda _, path: io.BufferedReader(File(path))


def nobody_minds_the_lease(lease: ModuleType) -> None:
    """As where a store cannot replace on a condition, and two runs believe that it is theirs."""
    lease.Lease._take = lambda *_: True
    lease.Lease._renew = lambda *_, released: released
    lease.Lease.check = lambda *_: None


def named(word: str, uri: str | None) -> bool:
    return uri is not None and word in uri


AFTER: dict[str, dict[str, Callable[[ModuleType], None]]] = {
    "decoder hangs": {"pipeline.audio": decoder_hangs},
    "decoder dies": {"pipeline.audio": decoder_dies},
    "decoder devours": {"pipeline.audio": decoder_devours},
    "hearing is noted": {"pipeline.tasks": hearing_is_noted},
    "planning is slow": {"jobs.planning": planning_is_slow},
    "inference hangs": {"pipeline.tasks": inference_hangs},
    "inference dies": {"pipeline.tasks": inference_dies},
    "device is lost": {"pipeline.tasks": device_is_lost},
    "memory is short": {"pipeline.tasks": memory_is_short},
    "features raise": {"pipeline.reading": features_raise},
    "reader dies": {"pipeline.reading": reader_dies},
    "readers are slow": {"pipeline.reading": readers_are_slow},
    "balance is not checked": {"pipeline.commit": balance_is_not_checked},
    "a row is lost": {"pipeline.gathering": a_row_is_lost},
    "disk fails": {"pipeline.stores.disk": disk_fails},
    "create overwrites": {"pipeline.stores.disk": create_overwrites},
    "nobody minds the lease": {"pipeline.lease": nobody_minds_the_lease},
}


class Meddler:
    """Finds a module as usual, and meddles with it once it is loaded."""

    def __init__(self) -> None:
        self.inside = False

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        wanted = [AFTER[fault][name] for fault in MEDDLE if fault and name in AFTER[fault]]
        if not wanted or self.inside:
            return None
        self.inside = True
        spec = importlib.util.find_spec(name)
        self.inside = False
        assert spec is not None and spec.loader is not None
        load = spec.loader.exec_module

        def loaded(module: ModuleType) -> None:
            load(module)
            for meddle in wanted:
                meddle(module)

        spec.loader.exec_module = loaded  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, Meddler())
