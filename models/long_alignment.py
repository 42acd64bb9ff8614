"""A text laid onto a recording that was heard in windows.

Each window answers for its core: a frame belongs to the window in whose core its middle lies. So the frames of all
windows make one row over the recording, in which a text is aligned at once, in a band where it is long; what is kept
of a window is a row of class scores for each frame, 128 bytes for 32 letters, and neither audio nor hidden states.
Where nothing was heard, because there was nothing to hear, frames that are sure of the blank fill the gap.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from models.alignment import Alignment, Sound, align_clips
from models.clock import Clock, Timeline, Whole
from models.hush import nowhere
from models.transcript import Scribe

UNLIKELY = -30.0
"""The log-probability of all classes but the blank where there is nothing to hear."""


@dataclass(frozen=True)
class Part:
    """What a CTC model heard in one window."""

    scores: Tensor
    """(frames, classes) log-probabilities, or logits."""
    start: int
    """The sample of the recording at which the window begins."""
    core: tuple[int, int]
    """Samples of the recording that the window answers for; beyond its ends where the first and last frames are to be
    kept, whose middles may lie outside."""
    quiet: Whole = field(default_factory=nowhere)
    """(stretches, 2) samples of the window in which nothing is heard, as far as that is known."""


@dataclass(frozen=True)
class Heard:
    """A recording and its text."""

    parts: Sequence[Part]
    """Its windows, in their order."""
    text: str
    samples: int
    """Its length."""


def align_recordings(recordings: Sequence[Heard], scribe: Scribe, blank: int) -> list[Alignment | None]:
    """Align each recording's text to its windows, short ones together, where their scores lie; None without a frame."""
    assert isinstance(scribe.clock, Clock)
    whole = {i: found for i, each in enumerate(recordings) if (found := _whole(each, scribe.clock, blank)) is not None}
    clips, sounds = zip(*whole.values(), strict=True) if whole else ((), ())
    aligned = align_clips(clips, [recordings[i].text for i in whole], sounds, scribe, blank)
    by_place = dict(zip(whole, aligned, strict=True))
    return [by_place.get(i) for i in range(len(recordings))]


def on_cpu(recording: Heard) -> Heard:
    """With its scores on the CPU."""
    return replace(recording, parts=[replace(part, scores=part.scores.cpu()) for part in recording.parts])


def _whole(recording: Heard, clock: Clock, blank: int) -> tuple[Tensor, Sound] | None:
    """The frames of all its windows in one row, and when they are."""
    owned = [(part, *_owned(part, clock)) for part in recording.parts]
    owned = [(part, begin, starts) for part, begin, starts in owned if len(starts)]
    if not owned:
        return None
    rows: list[Tensor] = []
    times: list[Whole] = []
    for part, begin, starts in owned:
        gap = _gap(times[-1], int(starts[0]), clock.step) if times else starts[:0]
        rows += [_silence(len(gap), part.scores, blank), part.scores[begin : begin + len(starts)]]
        times += [gap, starts]
    timeline = Timeline(np.append(np.concatenate(times), times[-1][-1] + clock.step))
    quiet = _quiet([part for part, *_ in owned], recording.samples)
    return torch.cat(rows), Sound(recording.samples, quiet, timeline)


def _quiet(parts: Sequence[Part], samples: int) -> Whole:
    """Where the recording is quiet: in the windows, each inside its core, and between them.

    What two windows say of one pause is joined where their cores meet.
    """
    stretches: list[Whole] = []
    heard = 0
    for part in parts:
        begin, end = (int(edge) for edge in np.clip(part.core, 0, samples))
        stretches += [np.array([[heard, begin]]), (part.quiet + part.start).clip(begin, end)]
        heard = end
    edges = np.concatenate([*stretches, np.array([[heard, samples]])])
    edges = edges[edges[:, 0] < edges[:, 1]]
    apart = np.append(True, edges[1:, 0] > edges[:-1, 1]) if len(edges) else np.zeros(0, bool)
    return np.stack([edges[apart, 0], edges[np.append(apart[1:], True), 1]], 1) if len(edges) else edges


def _owned(part: Part, clock: Clock) -> tuple[int, Whole]:
    """The index of a window's first frame of its own, and where its own frames begin in the recording."""
    own = clock.owned(len(part.scores), part.start, part.core)
    starts = part.start + clock.first + clock.step * np.arange(own.start, own.stop, dtype=np.int64)
    return own.start, starts


def _gap(before: Whole, following: int, step: int) -> Whole:
    """Where the frames would begin that are missing between two windows."""
    missing = max(0, (following - int(before[-1])) // step - 1)
    return int(before[-1]) + step * np.arange(1, missing + 1, dtype=np.int64)


def _silence(frames: int, like: Tensor, blank: int) -> Tensor:
    rows = like.new_full((frames, like.shape[1]), UNLIKELY)
    rows[:, blank] = 0.0
    return rows
