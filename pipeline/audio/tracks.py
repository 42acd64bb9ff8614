"""One channel on its way from decoded blocks to segments."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from pipeline.audio.cutting import UNCUT, WINDOW_SECONDS, Bounds, Cutter, Loudness, Meter, Piece
from pipeline.audio.reading import Audio
from pipeline.audio.resampling import Resampler, mix
from pipeline.audio.rules import AudioError, AudioRules
from pipeline.audio.windows import Windows
from pipeline.schema import Failure, Recording, Samples, Segment

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000
"""Frames per second that audio may have; beyond, a header is damaged."""


@dataclass(frozen=True)
class Choice:
    """What a row hears of a recording."""

    rate: int
    """Frames per second of the recording."""
    channel: int | None
    """Which channel; None is their mixture."""
    channels: int
    """How many rows the recording makes."""
    pick: Callable[[Samples], Samples]
    """(frames, channels) -> (frames,)."""


UNOPENED = Choice(1, None, 1, mix)
"""A recording of which nothing is known yet."""


def choose(audio: Audio, rules: AudioRules) -> list[Choice]:
    """The rows that a recording makes."""
    rate, channels, asked = audio.sound.rate, audio.sound.channels, audio.recording.channel
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise AudioError("Unsupported", f"its header says {rate} Hz: {LOWEST_RATE} to {HIGHEST_RATE} can be read")
    if not 1 <= channels <= rules.most_channels:
        raise AudioError("TooManyChannels", f"it has {channels} channels: 1 to {rules.most_channels} are allowed")
    if asked is not None:
        if not 0 <= asked < channels:
            raise AudioError("NoSuchChannel", f"it has {channels} channels, and channel {asked}, from 0, was asked for")
        return [Choice(rate, asked, 1, _picker(asked))]
    match rules.channels:
        case "mix":
            return [Choice(rate, None, 1, mix)]
        case "first":
            return [Choice(rate, 0, 1, _picker(0))]
        case "each":
            return [Choice(rate, channel, channels, _picker(channel)) for channel in range(channels)]


def _picker(channel: int) -> Callable[[Samples], Samples]:
    return lambda block: block[:, channel]


class Track:
    """Resamples and cuts what a choice hears."""

    def __init__(self, recording: Recording, rules: AudioRules, choice: Choice) -> None:
        self._recording, self._choice = replace(recording, audio=None), choice
        self._resampler = Resampler(choice.rate, rules.sample_rate)
        self._cutter = _cutter(rules)
        self._index = self._frames = self._counted = 0

    @property
    def seconds(self) -> float:
        """How much of it has been heard."""
        return self._frames / self._choice.rate

    def push(self, block: Samples) -> Iterator[Segment]:
        """Take (frames, channels); give the segments that are sure now."""
        samples = self._choice.pick(block)
        self._refuse_infinite(samples)
        self._frames += len(samples)
        yield from map(self._segment, self._cutter.push(self._resampler.push(samples)))

    def flush(self) -> Iterator[Segment]:
        """The end of the recording: the rest of its segments."""
        yield from map(self._segment, self._cutter.push(self._resampler.flush()))
        yield from map(self._segment, self._cutter.flush())

    def failed(self, failure: Failure) -> Segment:
        """The one segment that ends it."""
        total = self._cutter.total
        nothing = np.zeros(0, np.float32)
        return self._made(Piece(total, (total, total), last=True, samples=nothing), failure)

    def _segment(self, piece: Piece) -> Segment:
        return self._made(piece, None)

    def _made(self, piece: Piece, failure: Failure | None) -> Segment:
        total = piece.core[1]
        self._index, self._counted, fresh = self._index + 1, total, total - self._counted
        return Segment(
            self._recording, self._choice.channel, self._choice.channels, self._index - 1, piece.last,
            piece.start, piece.core, total, fresh, piece.samples, failure,
        )  # fmt: skip

    def _refuse_infinite(self, samples: Samples) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            if np.isfinite(samples.sum()):  # one pass, and no mask
                return
        wrong = np.flatnonzero(~np.isfinite(samples))
        if len(wrong):
            second = (self._frames + int(wrong[0])) / self._choice.rate
            raise AudioError("NotFinite", f"its samples are not numbers (NaN or infinite) from {second:.3f} s on")


def _cutter(rules: AudioRules) -> Cutter | Windows:
    if rules.window_seconds is not None:
        lengths = (rules.window_seconds, rules.hop_seconds or rules.window_seconds)
        return Windows(*(round(seconds * rules.sample_rate) for seconds in lengths))
    meter = _meter(rules)
    if rules.cut == "none":
        return Cutter(meter, UNCUT)
    per_second = rules.sample_rate / meter.frame
    return Cutter(
        meter,
        Bounds(
            shortest=math.ceil(rules.shortest_seconds * per_second),
            longest=int(rules.longest_seconds * per_second),
            context=round(rules.context_seconds * per_second),
            window=round(WINDOW_SECONDS * per_second),
        ),
    )


def _meter(rules: AudioRules) -> Meter:
    if rules.cut != "silero":
        return Loudness(rules.sample_rate)
    from pipeline.audio.silero import Speech  # torch, which no other cut needs, is slow to import and large

    return Speech()
