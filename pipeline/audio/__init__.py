"""Encoded audio to segments at the model's rate, as a stream in bounded memory.

Nothing that is wrong with a recording raises: it ends as a segment that says why. Segments that came before it count
for nothing then: a recording with one failed segment has failed. What raises is storage that cannot be reached.
"""

from collections.abc import Iterator

from pipeline.audio.deck import Deck, open_audio
from pipeline.audio.rules import AudioError, AudioRules
from pipeline.audio.tracks import UNOPENED, Track, choose
from pipeline.schema import SKIPPED, Recording, Segment

__all__ = ["AudioRules", "Deck", "segments"]


def segments(recording: Recording, rules: AudioRules, deck: Deck | None = None) -> Iterator[Segment]:
    """Decode a recording, choose its channels, resample and cut it. Channels that are read apart interleave.

    The last segment of each channel has `last`; one that failed ends its channel too. Whoever reads several recordings
    one after the other lends them all one deck.
    """
    tracks = [Track(recording, rules, UNOPENED)]
    if recording.failure is not None:
        yield tracks[0].failed(recording.failure)
        return
    try:
        with open_audio(recording, deck) as audio:
            tracks = [Track(recording, rules, choice) for choice in choose(audio, rules)]
            for block in audio.blocks(rules):
                for track in tracks:
                    yield from track.push(block)
            _refuse_short(tracks[0].seconds, rules.skip_shorter_seconds)
            for track in tracks:
                yield from track.flush()
    except AudioError as error:
        for track in tracks:
            yield track.failed(error.failure)


def _refuse_short(seconds: float, shortest: float | None) -> None:
    if shortest is not None and seconds < shortest:
        raise AudioError("TooShort", f"it lasts {seconds:.2f} s: shorter than {shortest} s is skipped", SKIPPED)
