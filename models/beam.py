"""Prefix beam search over the frames of many clips at once.

A reading is a sequence of tokens, and its score sums over all the paths that collapse to it. Readings are told apart by
a 64-bit hash of their tokens: where one reading grows into another that is also kept, the two are one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.fusion import Fusion, Spoken

NEVER = float("-inf")
PRIME = 0x9E3779B97F4A7C15 - 2**64
"""An odd multiplier; products wrap around."""


@dataclass(frozen=True)
class Readings:
    """The readings that each clip keeps, best first; a place that is not taken has score -inf."""

    blank: Tensor
    """(clips, beam) log-probability of the paths that end in a blank."""
    sound: Tensor
    """(clips, beam) log-probability of the paths that end in the last token."""
    last: Tensor
    """(clips, beam) the last token; -1 where there is none."""
    name: Tensor
    """(clips, beam) hash of the tokens."""
    parent: Tensor
    """(clips, beam) hash of the tokens but the last."""

    @property
    def total(self) -> Tensor:
        """(clips, beam) log-probability of all paths."""
        return torch.logaddexp(self.blank, self.sound)

    def first(self, clips: int) -> "Readings":
        """Those of the first clips only."""
        return Readings(*(values[:clips] for values in self._fields()))

    def _fields(self) -> tuple[Tensor, ...]:
        return self.blank, self.sound, self.last, self.name, self.parent


@dataclass(frozen=True)
class Step:
    """Where each kept reading came from at one frame."""

    source: Tensor
    """(clips, beam) its place before."""
    token: Tensor
    """(clips, beam) the token that it grew by; -1 where it stayed."""


@dataclass(frozen=True)
class Frames:
    """Log-probabilities of clips, longest first."""

    values: Tensor
    """(clips, frames, classes)"""
    lengths: tuple[int, ...]
    """Frames of each clip, longest first."""
    blank: int
    """The class that writes nothing."""


@dataclass(frozen=True)
class Frame:
    """One frame of the clips that are not over."""

    values: Tensor
    """(clips, classes)"""
    blank: int
    """The class that writes nothing."""
    scores: Tensor
    """(clips, best classes)"""
    tokens: Tensor
    """(clips, best classes) which they are."""


@dataclass(frozen=True)
class Found:
    """The readings of each clip, best first."""

    tokens: list[list[list[int]]]
    """By clip, by reading."""
    scores: list[list[float]]
    """Log-probability and what language model and hot words added, by clip, by reading."""


def search_beam(frames: Frames, beam: int, classes: int, keep: int, fusion: Fusion) -> Found:
    """The `keep` best readings of each clip, from `beam` that are followed and the best `classes` of each frame."""
    sounds = frames.values.clone()
    sounds[..., frames.blank] = NEVER
    best = sounds.topk(min(classes, sounds.shape[-1] - 1), dim=-1)  # (clips, frames, classes)
    readings, spoken = _nothing_read(frames, beam), fusion.start(len(frames.lengths), beam, frames.values.device)
    steps: list[Step] = []
    ended: list[tuple[Tensor, Tensor]] = []  # of clips that are over, shortest last
    for t in range(frames.lengths[0]):
        active = sum(length > t for length in frames.lengths)
        if active < len(readings.last):
            ended.append(_final(readings, spoken, fusion, active))
            readings, spoken = readings.first(active), spoken.first(active)
        here = Frame(frames.values[:active, t], frames.blank, best.values[:active, t], best.indices[:active, t])
        step, readings, spoken = _advance(readings, spoken, fusion, here)
        steps.append(step)
    ended.append(_final(readings, spoken, fusion, 0))
    scores, places = (torch.cat(parts[::-1]) for parts in zip(*ended, strict=True))
    return _traced(steps, scores[:, :keep], places[:, :keep])


def _nothing_read(frames: Frames, beam: int) -> Readings:
    like = frames.values.new_full((len(frames.lengths), beam), NEVER)
    blank = like.clone()
    blank[:, 0] = 0
    nowhere = _unnamed(like)
    return Readings(blank, like, torch.full_like(nowhere, -1), nowhere, nowhere - beam)


def _unnamed(like: Tensor) -> Tensor:
    """Names that no reading has; the first is that of nothing read."""
    return -torch.arange(like.shape[1], device=like.device).expand(like.shape)


def _advance(old: Readings, spoken: Spoken, fusion: Fusion, frame: Frame) -> tuple[Step, Readings, Spoken]:
    """One frame further."""
    tokens = frame.tokens
    beam, classes = old.last.shape[1], tokens.shape[1]
    total = old.total
    again = torch.where(old.last < 0, NEVER, frame.values.gather(1, old.last.clamp_min(0)))
    stay_blank = total + frame.values[:, frame.blank : frame.blank + 1]
    repeats = tokens[:, None, :] == old.last[:, :, None]  # (clips, beam, classes)
    grown = torch.where(repeats, old.blank[:, :, None], total[:, :, None]) + frame.scores[:, None, :]
    grown, joined = _join(old, grown.flatten(1), repeats, total, again)
    stay_sound = torch.logaddexp(old.sound + again, joined)
    stay = torch.logaddexp(stay_blank, stay_sound)
    ranked = torch.cat([stay + fusion.standing(spoken), grown + fusion.growing(spoken, tokens).flatten(1)], 1)
    chosen = ranked.topk(beam, dim=1).indices
    grew = chosen >= beam
    place = (chosen - beam).clamp_min(0)
    source = torch.where(grew, place // classes, chosen)
    step = Step(source, torch.where(grew, tokens.gather(1, place % classes), -1))
    names = old.name.gather(1, source)
    new = Readings(
        torch.where(grew, NEVER, stay_blank.gather(1, source)),
        torch.where(grew, grown.gather(1, place), stay_sound.gather(1, source)),
        torch.where(grew, step.token, old.last.gather(1, source)),
        torch.where(grew, names * PRIME + step.token + 1, names),
        torch.where(grew, names, old.parent.gather(1, source)),
    )
    return step, _without_dead(new), fusion.grow(spoken, step.source, step.token)


def _join(old: Readings, grown: Tensor, repeats: Tensor, total: Tensor, again: Tensor) -> tuple[Tensor, Tensor]:
    """Readings that grow into one that is kept already: taken out of `grown`, and what they bring to each kept one."""
    classes = repeats.shape[2]
    is_parent = old.parent[:, None, :] == old.name[:, :, None]  # (clips, parent, child)
    parent = is_parent.int().argmax(1)
    has_parent = is_parent.any(1)
    same = old.last == old.last.gather(1, parent)
    brought = torch.where(same, old.blank.gather(1, parent), total.gather(1, parent)) + again
    there = has_parent & repeats.any(2)
    place = torch.where(there, parent * classes + repeats.int().argmax(2), grown.shape[1])
    spare = torch.cat([grown, grown.new_zeros(len(grown), 1)], 1).scatter(1, place, NEVER)
    return spare[:, :-1], torch.where(has_parent, brought, NEVER)


def _without_dead(readings: Readings) -> Readings:
    """Readings that cannot be lose their names, lest one be taken for another's parent."""
    dead = readings.total == NEVER
    nowhere = _unnamed(readings.blank) - 1
    return Readings(
        readings.blank,
        readings.sound,
        torch.where(dead, -1, readings.last),
        torch.where(dead, nowhere, readings.name),
        torch.where(dead, nowhere - readings.last.shape[1], readings.parent),
    )


def _final(readings: Readings, spoken: Spoken, fusion: Fusion, start: int) -> tuple[Tensor, Tensor]:
    """Scores and places of the clips that end here, best reading first."""
    scores = (readings.total + fusion.ending(spoken))[start:]
    best = scores.sort(dim=1, descending=True, stable=True)
    return best.values, best.indices


def _traced(steps: list[Step], scores: Tensor, places: Tensor) -> Found:
    """Tokens of the readings that ended at these places."""
    written = torch.full((len(steps), *places.shape), -1, dtype=torch.long, device=places.device)
    places = places.clone()
    for t in range(len(steps) - 1, -1, -1):
        active = len(steps[t].token)
        written[t, :active] = steps[t].token.gather(1, places[:active])
        places[:active] = steps[t].source.gather(1, places[:active])
    table, kept = written.permute(1, 2, 0).cpu().numpy(), scores.cpu().numpy()
    possible = kept > NEVER
    return Found(
        [
            [row[row >= 0].tolist() for row, there in zip(clip, some, strict=True) if there]
            for clip, some in zip(table, possible, strict=True)
        ],
        [clip[some].tolist() for clip, some in zip(kept, possible, strict=True)],
    )
