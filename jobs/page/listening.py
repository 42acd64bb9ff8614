"""The audio of the few recordings that are shown: decoded as the job decoded it, and packed into the page.

Only what lies on this machine is opened. It is decoded and written anew, never copied: whatever a plan names, nothing
that is not audio can end in a page.
"""

import base64
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import soundfile

from pipeline.audio import AudioRules, segments
from pipeline.output import generations, plan_name
from pipeline.planfile import read_plan
from pipeline.schema import Recording, Samples
from pipeline.sources import recordings
from pipeline.storage import DISK, Store, parse

RATE = 16_000
PATIENCE = 10.0
"""Seconds that finding and decoding may take, all recordings together."""
BARS, FEWEST_BARS, MOST_BARS = 50, 360, 1_500
"""Bars of the drawn envelope: for each second, and in all."""


@dataclass(frozen=True)
class Wanted:
    """A stretch of a recording that a page shows."""

    recording_id: str
    channel: int | None
    uri: str
    begin: float
    """Seconds into the recording."""
    seconds: float


@dataclass(frozen=True)
class Sound:
    """What can be heard of it, or why nothing can."""

    source: str = ""
    """A data URI."""
    envelope: str = ""
    """An SVG path, as many units wide as `bars`, from 0 to 100 high."""
    bars: int = 0
    lacking: str = ""
    """Why there is no audio, in the user's words."""


@dataclass
class Listening:
    """Fetches audio until time or room is used up."""

    store: Store
    rules: AudioRules
    room: float
    """Bytes of audio that the page may hold."""
    ends: float = field(default_factory=lambda: time.monotonic() + PATIENCE)

    def hear(self, wanted: Wanted) -> Sound:
        """The stretch as audio."""
        if self.room <= 0:
            return Sound(lacking="the page holds as much audio as it may: --audio-megabytes makes room for more")
        if parse(wanted.uri)[0] not in DISK:
            return Sound(lacking="the recording does not lie on the machine that wrote this page")
        samples = self._samples(wanted)
        if isinstance(samples, str):
            return Sound(lacking=samples)
        packed = _flac(samples)
        if len(packed) > self.room:
            return Sound(lacking="there is no room in the page: --audio-megabytes makes more")
        self.room -= len(packed)
        bars, envelope = _envelope(samples)
        return Sound("data:audio/flac;base64," + base64.b64encode(packed).decode(), envelope, bars)

    def _samples(self, wanted: Wanted) -> Samples | str:
        for recording in self._found(wanted):
            begin = recording.begin + wanted.begin
            stretch = replace(recording, begin=begin, duration=wanted.seconds)
            parts = list(segments(stretch, self.rules))
            if failed := next((part.failure for part in parts if part.failure), None):
                return failed.message
            heard = [part.samples for part in parts if part.channel == wanted.channel]
            return np.concatenate(heard) if heard else "the recording has no such channel any more"
        if time.monotonic() > self.ends:
            return "finding it would have taken too long"
        return "the recording is not where it was"

    def _found(self, wanted: Wanted) -> Iterator[Recording]:
        """The recording, as the newest plan that names it, or its container, knows it."""
        for rows in self._planned(wanted):
            for recording in recordings(rows):
                if time.monotonic() > self.ends:
                    return
                if recording.recording_id == wanted.recording_id and recording.failure is None:
                    yield recording
                    return

    def _planned(self, wanted: Wanted) -> Iterator[pa.Table]:
        for generation in reversed(generations(self.store)):
            with self.store.open(plan_name(generation)) as file:
                for table in read_plan(file):
                    if time.monotonic() > self.ends:
                        return
                    if len(named := _named(table, wanted)):
                        yield named


def _named(table: pa.Table, wanted: Wanted) -> pa.Table:
    """The rows of a shard that are the recording, or the container that may hold it."""
    same = pc.fill_null(pc.equal(table["recording_id"], wanted.recording_id), False)
    if pc.any(same).as_py():
        return table.filter(same)
    if not table["recording_id"].null_count:
        return table.slice(0, 0)
    heads = zip(table["recording_id"].to_pylist(), table["uri"].to_pylist(), strict=True)
    return table.filter(pa.array([name is None and wanted.uri.startswith(uri) for name, uri in heads], pa.bool_()))


def rules(channels: str) -> AudioRules:
    """How the job heard them; `channels` is what it was told."""
    return AudioRules(RATE, channels, "none")  # type: ignore[arg-type]  # it is refused there where it is unknown


def _flac(samples: Samples) -> bytes:
    sink = io.BytesIO()
    soundfile.write(sink, np.clip(samples, -1.0, 1.0), RATE, format="FLAC", subtype="PCM_16")
    return sink.getvalue()


def _envelope(samples: Samples) -> tuple[int, str]:
    """Loudness along time, as one closed path around the middle."""
    bars = min(max(1, len(samples)), MOST_BARS, max(FEWEST_BARS, round(len(samples) / RATE * BARS)))
    edges = np.linspace(0, len(samples), bars, endpoint=False).astype(int)
    peaks = np.maximum.reduceat(np.abs(samples), edges) if len(samples) else np.zeros(1, np.float32)
    tall = np.maximum(1, np.round(48 * peaks / max(1e-4, float(peaks.max())))).astype(int).tolist()
    return len(tall), _path(tall)


def _path(tall: Sequence[int]) -> str:
    return "".join(f"M{at} {50 - height}v{2 * height}" for at, height in enumerate(tall))
