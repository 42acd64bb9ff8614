"""A recording that stays open for its neighbour, which may go on where it ended.

In MP3, AAC, Opus and their like no frame can be found exactly but by decoding what comes before it: each segment of a
long file would decode the file from its beginning, and a thousand of them would decode it five hundred times. What is
open stays what it was, should the file be replaced meanwhile.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from pipeline.audio.decoders import Sound
from pipeline.audio.reading import Audio, opened
from pipeline.audio.rules import AudioError
from pipeline.schema import SKIPPED, Recording, Samples
from pipeline.storage import StoreError

REACH = 16 << 20
"""Bytes of decoded audio that stay, for segments that overlap and channels that take turns: 40 s of a stereo file at 48
kHz, four minutes of one channel at 16 kHz."""


class Onward:
    """A sound that is read on from a little before the place that it was left at."""

    exact = False

    def __init__(self, sound: Sound) -> None:
        self._sound, self._stream = sound, sound.blocks()
        self.rate, self.channels = sound.rate, sound.channels
        self.promised, self.tolerance = sound.promised, sound.tolerance
        self.position = 0
        """The frame at which the first of the blocks that stay begins."""
        self._kept: deque[Samples] = deque()
        self._bytes = 0

    def seek(self, frame: int) -> int:
        """There is but one place to go on from."""
        return self.position

    def blocks(self) -> Iterator[Samples]:
        """What has stayed, and what follows."""
        yield from tuple(self._kept)
        for block in self._stream:
            block.setflags(write=False)  # it may be handed out again
            self._keep(block)
            yield block

    def close(self) -> None:
        """Let go of the decoder."""
        self._sound.close()

    def _keep(self, block: Samples) -> None:
        self._kept.append(block)
        self._bytes += block.nbytes
        while len(self._kept) > 1 and self._bytes > REACH:
            dropped = self._kept.popleft()
            self._bytes -= dropped.nbytes
            self.position += len(dropped)


class Deck:
    """Holds what was read last open, if the next recording may lie behind it in the same audio."""

    def __init__(self) -> None:
        self._held: Audio | None = None

    def take(self, recording: Recording) -> Audio:
        """The recording, opened, or what is open, where it lies in that and not before what has stayed."""
        held, self._held = self._held, None
        if held is not None and _goes_on(held, recording):
            return replace(held, recording=recording)
        if held is not None:
            held.close()
        audio = opened(recording)
        return audio if audio.sound.exact else replace(audio, sound=Onward(audio.sound))

    def keep(self, audio: Audio) -> None:
        """Leave it open, unless its frames are found as soon by opening it again, or what follows cannot be read."""
        if self._held is not None:
            self._held.close()
        self._held = None if audio.sound.exact or audio.source.failed else audio
        if self._held is None:
            audio.close()


@contextmanager
def open_audio(recording: Recording, deck: Deck | None = None) -> Iterator[Audio]:
    """Open what a recording points to; an `AudioError` where that is no audio, or is not there."""
    with ExitStack() as stack:
        try:
            audio = opened(recording) if deck is None else deck.take(recording)
            stack.callback(audio.close)
            yield audio
        except StoreError as error:
            if not error.lasting:
                raise
            raise AudioError(error.kind, str(error)) from None
        except AudioError as error:
            if deck is not None and error.failure.status == SKIPPED:  # a rule refused it, and not the decoder
                stack.pop_all()
                deck.keep(audio)
            raise
        if deck is not None:
            stack.pop_all()
            deck.keep(audio)


def _goes_on(held: Audio, recording: Recording) -> bool:
    before, sound = held.recording, held.sound
    if not isinstance(sound, Onward) or (before.uri, before.audio) != (recording.uri, recording.audio):
        return False
    begin = recording.begin * sound.rate - 1  # what is no place at all is refused when it is read
    return sound.position <= max(0.0, begin)
