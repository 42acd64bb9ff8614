"""From a recording's bytes to the blocks of the stretch that was asked for, each promise of its header checked."""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pipeline.audio.chunks import Layout
from pipeline.audio.decoders import DecoderError, Sound, open_sound
from pipeline.audio.headers import breaks_off, look
from pipeline.audio.rules import AudioError, AudioRules
from pipeline.audio.source import Source
from pipeline.schema import SKIPPED, Recording, Samples, Span
from pipeline.storage import open_input

SAMPLE = 4
"""Bytes of a decoded one."""


@dataclass(frozen=True)
class Audio:
    """A recording that is open."""

    recording: Recording
    source: Source
    layout: Layout | None
    sound: Sound

    def close(self) -> None:
        """Let go of the decoder and of the file."""
        self.sound.close()
        self.source.close()

    def blocks(self, rules: AudioRules) -> Iterator[Samples]:
        """Its frames from `begin` on, `duration` long: (frames, channels)."""
        first, end = _stretch(self.recording, self.sound.rate)
        _refuse_early(self, first, end, rules)
        position = 0
        try:
            position = self.sound.seek(first) if first else 0
            budget = rules.most_bytes - (0 if self.sound.exact else position * self.sound.channels * SAMPLE)
            for block in self.sound.blocks():
                budget -= block.nbytes
                wanted = block[max(0, first - position) : None if end is None else max(0, end - position)]
                position += len(block)
                heard = position if end is None else min(position, end)
                _refuse_late(self, heard - first, budget, rules)
                if len(wanted):
                    yield wanted
                if end is not None and position >= end:
                    return
        except DecoderError as error:
            self.source.check()
            raise self._broken(position, str(error)) from None
        self.source.check()
        self._check_promise(position)
        if first >= position and first:
            raise AudioError("OutOfRange", f"it begins at {_seconds(first, self)} of {_seconds(position, self)}")

    def _check_promise(self, position: int) -> None:
        """Refuse an end of the file that comes before the header said."""
        promised = self.sound.promised
        if self._cut_off() or (promised is not None and position + self.sound.tolerance < promised):
            raise self._broken(position, "the rest is missing")

    def _cut_off(self) -> bool:
        return self.layout is not None and self.layout.whole is False

    def _seems_cut_off(self) -> bool:
        """Where no header tells: whether decoding went wrong at the very end of the file."""
        if self.layout is None or self.layout.whole is not None:
            return False
        return self.source.exhausted or breaks_off(self.source, self.layout)

    def _broken(self, position: int, reason: str) -> AudioError:
        found = _seconds(position, self)
        promised = self._promised(position)
        of = f" of {_seconds(promised, self)} that its header promises" if promised else ""
        if self._cut_off() or self._seems_cut_off():
            return AudioError("Truncated", f"it breaks off after {found}{of}: {reason}")
        return AudioError("Corrupt", f"it is damaged: {found}{of} can be decoded: {reason}")

    def _promised(self, position: int) -> int | None:
        """Frames, if the header knew more than was found."""
        layout = self.layout
        if self.sound.promised is not None and self.sound.promised > position + self.sound.tolerance:
            return self.sound.promised
        if layout is None or layout.end is None or layout.end <= self.source.size or layout.begin >= self.source.size:
            return None
        return position * (layout.end - layout.begin) // (self.source.size - layout.begin)


def opened(recording: Recording) -> Audio:
    """Open what a recording points to; an `AudioError` where that is no audio."""
    source = Source(_open(recording.audio), recording.uri)
    try:
        return _open_sound(recording, source)
    except BaseException:
        source.close()
        raise


def _open(audio: bytes | Span | None) -> BinaryIO:
    if isinstance(audio, Span):
        return open_input(audio.uri, audio.begin, audio.end)
    return io.BytesIO(audio or b"")


def _open_sound(recording: Recording, source: Source) -> Audio:
    if not source.size:
        raise AudioError("EmptyFile", "it has no bytes")
    layout = look(source)
    source.check()
    if layout is not None and layout.tailed and layout.end is not None:
        source.end_at(layout.end)
    sound = open_sound(source, layout)
    source.check()
    source.exhausted = False  # looking at the header may have gone to the end
    return Audio(recording, source, layout, sound)


def _stretch(recording: Recording, rate: int) -> tuple[int, int | None]:
    """The first frame that is wanted, and one past the last."""
    begin, duration = recording.begin, recording.duration
    if not (math.isfinite(begin * rate) and begin >= 0):
        raise AudioError("OutOfRange", f"it is said to begin at {begin} s")
    if duration is None:
        return round(begin * rate), None
    if not (math.isfinite((begin + duration) * rate) and duration > 0):
        raise AudioError("OutOfRange", f"it is said to last {duration} s")
    return round(begin * rate), round((begin + duration) * rate)


def _refuse_early(audio: Audio, first: int, end: int | None, rules: AudioRules) -> None:
    """Before anything is decoded, if the header says enough."""
    known = [frame for frame in (end, audio.sound.promised) if frame is not None]
    if known:
        _refuse_length(audio, min(known) - first, rules)


def _refuse_late(audio: Audio, frames: int, budget: int, rules: AudioRules) -> None:
    _refuse_length(audio, frames, rules)
    if budget < 0:
        raise AudioError("TooLarge", f"it decodes to more than {rules.most_bytes} bytes, which is the limit")


def _refuse_length(audio: Audio, frames: int, rules: AudioRules) -> None:
    seconds = frames / audio.sound.rate
    if seconds > rules.most_seconds:
        raise AudioError("TooLong", f"it lasts {seconds:.0f} s or more, and {rules.most_seconds:.0f} s are the limit")
    if rules.skip_longer_seconds is not None and seconds > rules.skip_longer_seconds:
        reason = f"it lasts {seconds:.2f} s or more: longer than {rules.skip_longer_seconds} s is skipped"
        raise AudioError("TooLong", reason, SKIPPED)


def _seconds(frames: int, audio: Audio) -> str:
    return f"{frames / audio.sound.rate:.2f} s"
