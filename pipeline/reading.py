"""From a shard's place in the plan to batches: read, decode, cut, compute features, sort into buckets.

These stages are one stream on one CPU actor, on purpose: audio then crosses from process to process only once, as a
batch, and the end of the stream empties the window of the bucketing, for which the engine has no hook. What a worker
yields depends on its shards alone, so that an engine that runs it again gets the same.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import pyarrow as pa

from models import load_frontend
from pipeline.apart import Decoder
from pipeline.audio import AudioRules, Deck, segments
from pipeline.batches import Ready, census, outage, pack
from pipeline.bucketing import Buckets, batches
from pipeline.deadline import deadline
from pipeline.doubt import gives_another, gone
from pipeline.features import STAGE, features
from pipeline.planfile import group_rows, objects
from pipeline.references import References
from pipeline.schema import WITHHELD, Failure, Recording, Segment
from pipeline.sources import tried
from pipeline.sources.blame import blame
from pipeline.staying import Leave, stay
from pipeline.storage import Store, StoreError
from pipeline.stores.errors import NOT_FOUND, UNREACHABLE
from pipeline.stores.retry import repeats
from pipeline.together import groups, whole_batches

WORK = pa.schema(
    [
        pa.field("plan", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("first", pa.int32(), nullable=False),
        pa.field("rows", pa.int32(), nullable=False),
        pa.field("done", pa.list_(pa.int32())),
    ]
)
"""One shard to read: where its rows stand, and the recordings of it that have arrived already."""

Cut = Callable[[Recording], Iterator[Segment]]


@dataclass(frozen=True)
class Rules:
    """What a reader needs to know."""

    output: str
    """The output's URL: the plan lies there."""
    model: str
    audio: AudioRules
    buckets: Buckets
    apart: bool = False
    """Whether each recording is decoded in a process of its own, and travels in a batch of its own."""
    references: References | None = None
    """For jobs that need a recording's text and all its segments at once: where the texts come from."""
    roots: tuple[str, ...] = ()
    """Folders that recordings may lie in: where one is gone, what is missing below is not to blame."""


class Reader:
    """Reads shards, on an actor."""

    def __init__(self, rules: Rules, leave: Leave = stay) -> None:
        self.rules, self.leave = rules, leave
        self.frontend = load_frontend(rules.model)
        self.cut: Cut = Decoder(rules.audio).segments if rules.apart else self._cut
        self.deck = Deck()
        self.group = lru_cache(1)(self._group)  # of a plan, which never changes: its shards come one after another

    def __call__(self, work: pa.Table) -> Iterator[pa.Table]:
        """Shards to read -> batches, a table of one row each."""
        self.leave()
        heard = (ready for shard in work.to_pylist() for ready in self._shard(shard))
        began = time.monotonic()
        for batch in self._batches(heard):
            yield pack(batch, repeats(), time.monotonic() - began)
            began = time.monotonic()  # while it waited to be asked, it did nothing

    def _batches(self, heard: Iterator[Ready]) -> Iterator[list[Ready]]:
        match self.rules:
            case Rules(apart=True, references=None):
                return ([ready] for ready in heard)
            case Rules(apart=True):
                return groups(heard)
            case Rules(references=None):
                return batches(heard, self.rules.buckets)
        return whole_batches(heard, self.rules.buckets)

    def _shard(self, shard: Mapping[str, object]) -> Iterator[Ready]:
        """A shard to its end, or to where the storage fails; a later pass reads the rest."""
        try:
            yield from self._whole(shard)
        except StoreError as error:
            yield outage(str(shard["shard"]), str(error))

    def _whole(self, shard: Mapping[str, object]) -> Iterator[Ready]:
        done, count, withheld = set(_numbers(shard["done"])), 0, False
        rows = self._rows(shard)
        for recording in tried(rows):
            count += 1
            if recording.ordinal not in done:
                known = recording if self.rules.references is None else self.rules.references.given(recording)
                for ready in self._careful(known) if self.rules.apart else self._ready(known):
                    withheld |= self._weigh(shard, ready)
                    yield ready
        if not (withheld and rows["recording_id"].null_count):  # the last of a container may stand for more
            yield census(str(shard["shard"]), count)

    def _ready(self, recording: Recording) -> Iterator[Ready]:
        try:
            yield from features(self.cut(recording), self.frontend)
        except StoreError as error:  # of large audio, which is read while it is decoded
            yield from self._failed(recording, blame(error))

    def _careful(self, recording: Recording) -> Iterator[Ready]:
        """Whatever is raised for a recording costs that recording: its neighbours are not lost with it."""
        try:
            yield from self._ready(recording)
        except Exception as error:
            yield from self._failed(recording, Failure("Crashed", STAGE, f"{type(error).__name__}: {error}"))

    def _failed(self, recording: Recording, failure: Failure) -> Iterator[Ready]:
        failed = segments(replace(recording, audio=None, failure=failure), self.rules.audio)
        yield from features(failed, self.frontend)

    def _weigh(self, shard: Mapping[str, object], ready: Ready) -> bool:
        """Whether its failure is withheld; `StoreError` where it is its storage that fails."""
        failure, uri = ready.key["failure"], str(ready.key["uri"])
        if not isinstance(failure, dict) or failure["stage"] == "plan":
            return False
        if failure["status"] == WITHHELD and not gives_another(uri, self._planned(shard), self.rules.roots):
            raise StoreError(failure["class"], failure["message"])
        if failure["class"] == NOT_FOUND and (lost := gone(uri, self.rules.roots)):
            raise StoreError(UNREACHABLE, f"{failure['message']}, and {lost} is gone or empty: is it mounted?")
        return bool(failure["status"] == WITHHELD)

    def _planned(self, shard: Mapping[str, object]) -> list[str]:
        with Store(self.rules.output).open(str(shard["plan"])) as file:
            return objects(file, int(str(shard["row_group"])))

    def _rows(self, shard: Mapping[str, object]) -> pa.Table:
        group, first, rows = (int(str(shard[name])) for name in ("row_group", "first", "rows"))
        return self.group(str(shard["plan"]), group).slice(first, rows)

    def _group(self, plan: str, row_group: int) -> pa.Table:
        with Store(self.rules.output).open(plan) as file:
            return group_rows(file, row_group)

    def _cut(self, recording: Recording) -> Iterator[Segment]:
        """Decode here, where a decoder that hangs takes the actor with it."""
        stream = segments(recording, self.rules.audio, self.deck)
        with deadline(self.rules.audio.seconds_limit(recording)):
            segment = next(stream, None)
        while segment is not None:
            yield segment
            with deadline(self.rules.audio.seconds_limit(recording)):
                segment = next(stream, None)


def _numbers(values: object) -> list[int]:
    return [] if values is None else [int(value) for value in values]  # type: ignore[attr-defined]
