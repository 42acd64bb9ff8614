"""A text laid onto its audio: where each word is, and how well it is heard there.

Words that the vocabulary cannot spell (digits, mostly) are stood for by a star, which is as sure of every frame as its
best class, less a little: it takes what the words around it leave. Their times are shared out inside it, and such words
say that they are not aligned. Symbols without a sound get the place between their neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import inf

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from models.clock import Timeline, Whole
from models.hush import nowhere
from models.labels import Labelled, is_unknown, label
from models.lattice import Path, find_long_path, find_paths
from models.protocol import FrameLogits
from models.spelling import Spelling
from models.transcript import Scribe
from models.word_times import Placed

LONG_CELLS = 1 << 26
"""Frames times states of a clip that is aligned in a band."""
GROUP_CELLS = 1 << 27
"""Frames times states that are aligned together."""


@dataclass(frozen=True)
class Sound:
    """What is known of a clip beside what the model says."""

    samples: int
    """Its length."""
    quiet: Whole
    """(stretches, 2) samples in which nothing is heard, as far as that is known."""
    timeline: Timeline | None = None
    """When its frames are, if the clock of the scribe does not tell."""


@dataclass(frozen=True)
class AlignedWord:
    """A word of the text."""

    text: str
    start: int
    """Samples from the clip's beginning."""
    end: int
    """Samples from the clip's beginning; never before `start`."""
    score: float
    """Mean posterior of its tokens where they were placed, in [0, 1]; 0 where it is not aligned."""
    aligned: bool
    """Whether the times were heard; otherwise they are shared out between neighbours."""
    missing: str
    """Its characters that the vocabulary cannot spell."""


@dataclass(frozen=True)
class Alignment:
    """A text on its clip."""

    words: tuple[AlignedWord, ...]
    """Every word of the text, in order."""
    loss: float
    """The CTC loss of the text: minus its log-likelihood, stars counted as heard. Infinite where it does not fit."""
    score: float
    """Mean posterior of the text's tokens, in [0, 1]: low where the text is not what is said. 1 for no token."""
    fits: bool
    """Whether the clip has frames enough for the text; without, no word is aligned."""
    heard: int
    """Tokens that the model reads in the clip by itself."""
    expected: int
    """Tokens of the text; far more than `heard` tells a text longer than the audio, far fewer a shorter one."""
    coverage: float
    """The share of what the model reads by itself that falls inside words of the text: low for a text too short."""
    exact: bool
    """Whether no better alignment exists: proven always but for very long clips."""


def align(
    logits: FrameLogits, texts: Sequence[str], sounds: Sequence[Sound], scribe: Scribe, blank: int
) -> list[Alignment]:
    """Align each clip's text."""
    clips = [clip[:frames] for clip, frames in zip(logits.logits, logits.lengths.tolist(), strict=True)]
    return align_clips(clips, texts, sounds, scribe, blank)


def align_clips(
    clips: Sequence[Tensor], texts: Sequence[str], sounds: Sequence[Sound], scribe: Scribe, blank: int
) -> list[Alignment]:
    """The same for logits (frames, classes) of one clip each, where they lie."""
    labelled = [
        label(scribe.vocabulary.spell(text), clip.shape[-1], scribe.vocabulary.delimiter)
        for clip, text in zip(clips, texts, strict=True)
    ]
    paths = [Path(np.empty(0, np.int32), -inf, exact=True)] * len(clips)
    for group in _groups([len(clip) for clip in clips], labelled):
        found = _paths([clips[i] for i in group], [labelled[i].labels for i in group], blank)
        for i, path in zip(group, found, strict=True):
            paths[i] = path
    rows = zip(clips, paths, labelled, sounds, strict=True)
    return [_alignment(clip, path, text, sound, scribe=scribe, blank=blank) for clip, path, text, sound in rows]


def _groups(frames: Sequence[int], labelled: Sequence[Labelled]) -> list[list[int]]:
    """Clips to align together, those of like length, as their padding allows; the long ones by themselves."""
    states = [2 * len(text.labels) + 1 for text in labelled]
    groups: list[list[int]] = []
    room = False
    for i in sorted((i for i, count in enumerate(frames) if count), key=lambda i: -frames[i]):
        together = [*groups[-1], i] if room else [i]
        padded = len(together) * frames[together[0]] * max(states[j] for j in together)
        if room and padded <= GROUP_CELLS:
            groups[-1] = together
        else:
            groups.append([i])
        room = frames[i] * states[i] <= LONG_CELLS
    return groups


def _paths(clips: Sequence[Tensor], labels: Sequence[Sequence[int]], blank: int) -> list[Path]:
    frames = [len(clip) for clip in clips]
    if len(clips) == 1 and frames[0] * (2 * len(labels[0]) + 1) > LONG_CELLS:
        return [find_long_path(clips[0], labels[0], blank)]
    return find_paths(pad_sequence(list(clips), batch_first=True), frames, labels, blank)


def _alignment(logits: Tensor, path: Path, text: Labelled, sound: Sound, *, scribe: Scribe, blank: int) -> Alignment:
    scribe = replace(scribe, clock=sound.timeline or scribe.clock)
    fits = len(path.states) > 0 or not text.labels
    spans, scores = _spans(logits, path, text)
    words = _words(text, spans, scores, sound, scribe)
    peaks = _peaks(logits, blank)
    at = scribe.clock.at(peaks, sound.samples)
    inside = np.zeros(len(at), bool)
    for word in _words(text, spans, scores, replace(sound, quiet=nowhere()), scribe):
        inside |= (at >= word.start) & (at < word.end)
    known = scores[[owner >= 0 and not is_unknown(text.spellings[owner]) for owner in text.owners]]
    return Alignment(
        words=tuple(words),
        loss=0.0 if not len(logits) and not text.labels else -path.total,
        score=float(known.mean()) if fits and len(known) else float(fits),
        fits=fits,
        heard=len(peaks),
        expected=len(known),
        coverage=float(inside.mean()) if len(inside) else 1.0,
        exact=path.exact,
    )


def _peaks(logits: Tensor, blank: int) -> npt.NDArray[np.int64]:
    """Frames where the model by itself reads a new token."""
    best = logits.argmax(-1).cpu().numpy()
    return np.flatnonzero((best != blank) & (np.append(blank, best[:-1]) != best)) if len(best) else best


def _spans(logits: Tensor, path: Path, text: Labelled) -> tuple[Whole, npt.NDArray[np.float32]]:
    """First frame and one past the last of each label (labels, 2), and each label's mean posterior."""
    spans, scores = np.zeros((len(text.labels), 2), np.int64), np.zeros(len(text.labels), np.float32)
    frames = np.flatnonzero(path.states % 2)
    if not len(frames):
        return spans, scores
    labels = path.states[frames] // 2
    spans[:, 0], spans[:, 1] = np.searchsorted(labels, np.arange(len(spans))), 0
    spans[:, 1] = np.searchsorted(labels, np.arange(len(spans)), side="right")
    ids = torch.tensor(text.labels, device=logits.device)[torch.from_numpy(labels.astype(np.int64)).to(logits.device)]
    chosen = logits[torch.from_numpy(frames).to(logits.device)]
    known = ids.clamp(max=logits.shape[1] - 1)
    posteriors = (chosen.gather(1, known[:, None])[:, 0] - chosen.logsumexp(1)).exp().float().cpu().numpy()
    sums = np.append(0, np.cumsum(posteriors, dtype=np.float64))
    scores[:] = (sums[spans[:, 1]] - sums[spans[:, 0]]) / (spans[:, 1] - spans[:, 0])
    return np.stack([frames[spans[:, 0]], frames[spans[:, 1] - 1] + 1], 1), scores.clip(0, 1)


def _words(
    text: Labelled, spans: Whole, scores: npt.NDArray[np.float32], sound: Sound, scribe: Scribe
) -> list[AlignedWord]:
    """Words that have labels, timed by them; the others between."""
    owners = np.array(text.owners, np.int64)
    members = {int(word): np.flatnonzero(owners == word) for word in np.unique(owners[owners >= 0]) if spans.any()}
    placed = [_placed(text.spellings[word], spans[labels]) for word, labels in members.items()]
    times = dict(zip(members, scribe.times(placed, sound.quiet, sound.samples).tolist(), strict=True))
    heard = {word: float(scores[labels].mean()) for word, labels in members.items()}
    words: list[AlignedWord] = []
    for known, group in groupby(
        range(len(text.spellings)), key=lambda i: i in times and not is_unknown(text.spellings[i])
    ):
        run = list(group)
        if known:
            words += [_word(text.spellings[i], times[i], heard[i], aligned=True) for i in run]
        else:
            here = _room(run, times, words, sound.samples)
            words += _shared([text.spellings[i] for i in run], *here)
    return words


def _placed(spelling: Spelling, spans: Whole) -> Placed:
    first, last = spans[0].tolist(), spans[-1].tolist()
    return Placed((first[0], first[1]), (last[0], last[1]), len(spelling.word), len(spans))


def _room(run: Sequence[int], times: dict[int, list[int]], before: Sequence[AlignedWord], samples: int) -> list[int]:
    """Where words without times of their own lie: in their stars, or between their neighbours."""
    stars = [times[i] for i in run if i in times]
    if stars:
        return [stars[0][0], stars[-1][1]]
    following = times.get(run[-1] + 1)
    return [before[-1].end if before else 0, following[0] if following else samples]


def _shared(spellings: Sequence[Spelling], start: int, end: int) -> list[AlignedWord]:
    """A stretch shared out by the words' lengths."""
    edges = np.cumsum([0, *(len(spelling.word) for spelling in spellings)])
    at = (start + (end - start) * edges // edges[-1]).tolist()
    return [_word(s, [at[i], at[i + 1]], 0.0, aligned=False) for i, s in enumerate(spellings)]


def _word(spelling: Spelling, times: Sequence[int], score: float, *, aligned: bool) -> AlignedWord:
    return AlignedWord(spelling.word, times[0], times[1], score, aligned, spelling.missing)
