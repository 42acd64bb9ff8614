"""The best way, and the sum of all ways, through frames that spell known labels.

A text of n labels has 2n + 1 states: its labels with blanks around them. Each frame stays, moves on by one, or by two
where that leaves out a blank between different labels. Frames go one by one, all clips and states at once. Every
frame's emissions count from its own best class, so a score says what was lost against it, and float32 is enough. The
label after the last class is a star: as likely as every frame's best class, less a little.

What is longer than a few minutes walks in a band of states around the best one: what leaves the band is remembered,
and a path that beats all of it is proven to be the best of the whole lattice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

States = npt.NDArray[np.int32]

BAND = 4096
"""States of a band: at 15 letters a second, more than two minutes."""
BLOCK = 256
"""Frames between two moves of a band, which moves it by no more than twice as many states."""
PENDING_BYTES = 1 << 28
"""What a band may remember of its way before it must decide."""
STAR_COST = 0.1
"""What a star's frame costs, in nats, so that it takes no more than is left."""
NOWHERE = float("-inf")


@dataclass(frozen=True)
class Path:
    """One clip's way through its states."""

    states: States
    """The state of each frame: 2i + 1 for label i, even for blanks; empty where there is no way."""
    total: float
    """Log-likelihood of the labels: over all ways, those outside a band left out."""
    exact: bool
    """Whether this is proven to be the best way: always, but for a band that was too narrow."""


@dataclass
class _Band:
    """What is known after a frame, for some consecutive states of each clip."""

    labels: Tensor
    """(clips, states)"""
    skips: Tensor
    """(clips, states): 0 where the blank before may be left out, else minus infinity."""
    best: Tensor
    """(clips, 2 + states): the best way to each state; two columns of minus infinity come first."""
    sums: Tensor
    """(clips, 2 + states): likewise, the sum of all ways."""


def find_paths(logits: Tensor, lengths: Sequence[int], labels: Sequence[Sequence[int]], blank: int) -> list[Path]:
    """Align labels to logits (clips, frames, classes); `lengths` are each clip's frames, all above 0."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    frames = [lengths[i] for i in order]
    found = _whole(logits[order, : frames[0]], frames, [labels[i] for i in order], blank)
    return [path for _, path in sorted(zip(order, found, strict=True), key=lambda pair: pair[0])]


def find_long_path(logits: Tensor, labels: Sequence[int], blank: int, band: int = BAND) -> Path:
    """Align labels to one recording (frames, classes) in a band of states: beside its logits, in bounded memory."""
    return _LongWay(logits, labels, blank, band).path()


def _whole(logits: Tensor, lengths: Sequence[int], labels: Sequence[Sequence[int]], blank: int) -> list[Path]:
    """All states at once; clips come longest first, so that those still going are the first rows."""
    device = logits.device
    losses, tops = _losses(logits.transpose(0, 1))
    expanded = _expanded(labels, blank, device)
    band = _begin(losses[0], expanded, _skips(expanded))
    steps = _sweep(band, losses[1:], [sum(frames > t for frames in lengths) for t in range(1, lengths[0])])
    ends = torch.tensor([2 * len(row) for row in labels], device=device)
    finals = _finals(band.best, ends)
    state = torch.where(finals[:, 1] > finals[:, 0], ends - 1, ends)
    states = _walk_back(steps, state).T.cpu().numpy()
    real = torch.arange(len(tops), device=device)[:, None] < torch.tensor(lengths, device=device)
    totals = (_finals(band.sums, ends).logsumexp(1).double() + (tops.double() * real).sum(0)).tolist()
    reached = (finals.amax(1) > NOWHERE).tolist()
    return [Path(states[i, : frames if reached[i] else 0], totals[i], exact=True) for i, frames in enumerate(lengths)]


def _losses(logits: Tensor) -> tuple[Tensor, Tensor]:
    """(frames, clips, classes and the star) below each frame's best class, and that class's log-probability."""
    below = logits.float() - logits.float().amax(-1, keepdim=True)
    return F.pad(below, (0, 1), value=-STAR_COST).contiguous(), -below.logsumexp(-1)


def _expanded(labels: Sequence[Sequence[int]], blank: int, device: torch.device) -> Tensor:
    """Each row's states: blanks around every label, blanks to the right of shorter rows."""
    states = np.full((len(labels), 2 * max(map(len, labels), default=0) + 1), blank, np.int64)
    for row, clip in zip(states, labels, strict=True):
        row[1 : 2 * len(clip) : 2] = clip
    return torch.from_numpy(states).to(device)


def _skips(expanded: Tensor) -> Tensor:
    """Blanks are never skipped to, nor is a label from its equal."""
    skips = torch.full(expanded.shape, NOWHERE, device=expanded.device)
    different = expanded[:, 3::2] != expanded[:, 1:-2:2]
    skips[:, 3::2] = torch.where(different, 0.0, NOWHERE)
    return skips


def _begin(first: Tensor, labels: Tensor, skips: Tensor) -> _Band:
    """After the first frame, which is the first blank or the first label."""
    best = torch.full((len(labels), 2 + labels.shape[1]), NOWHERE, device=labels.device)
    best[:, 2:4] = first.gather(1, labels[:, :2])
    return _Band(labels, skips, best, best.clone())


def _sweep(band: _Band, losses: Tensor, going: Sequence[int]) -> Tensor:
    """Move a band over frames, of which the first `going` clips have one; the steps: (frames, clips, states)."""
    shape = (len(losses), *band.labels.shape)
    moved, skipped = (torch.zeros(shape, dtype=torch.bool, device=losses.device) for _ in range(2))
    for t, rows in enumerate(going):
        skips, best, sums = band.skips[:rows], band.best[:rows], band.sums[:rows]
        emitted = losses[t, :rows].gather(1, band.labels[:rows])
        stay, move, skip = best[:, 2:], best[:, 1:-1], best[:, :-2] + skips
        way = torch.maximum(stay, move)
        torch.gt(move, stay, out=moved[t, :rows])
        torch.gt(skip, way, out=skipped[t, :rows])
        torch.add(torch.maximum(way, skip), emitted, out=best[:, 2:])
        on = torch.logaddexp(sums[:, 2:], sums[:, 1:-1])
        on = torch.logaddexp(on, sums[:, :-2] + skips)
        torch.add(on, emitted, out=sums[:, 2:])
    return moved.view(torch.uint8).masked_fill_(skipped, 2)


def _finals(values: Tensor, ends: Tensor) -> Tensor:
    """The last blank's and the last label's: (clips, 2). Before the first state stands minus infinity."""
    return values.gather(1, torch.stack([ends + 2, ends + 1], 1))


def _walk_back(steps: Tensor, state: Tensor) -> Tensor:
    """The states of all frames, from those of the last: (frames, clips)."""
    states = [state]
    for step in steps.flip(0):
        state = state - step.gather(1, state[:, None])[:, 0]
        states.append(state)
    return torch.stack(states[::-1]).int()


@dataclass
class _Block:
    """Some frames that a band has passed and not yet decided."""

    first: int
    """The band's first state."""
    steps: Tensor
    """(frames, states): how many states each came from."""
    origins: Tensor
    """(states,): where the way to each state stood before the block."""


class _LongWay:
    """One recording's band, and what it remembers."""

    def __init__(self, logits: Tensor, labels: Sequence[int], blank: int, band: int) -> None:
        self.logits = logits
        self.labels = _expanded([labels], blank, logits.device)
        self.skips = _skips(self.labels)
        self.states = self.labels.shape[1]
        self.width = min(max(band, 6 * BLOCK), self.states)
        self.first = 0
        self.hurry = 1 + self.states / len(logits) / 2  # states a frame: between the mean and the most, 2
        self.lost = NOWHERE
        self.blocks: list[_Block] = []
        self.decided: list[States] = []

    def path(self) -> Path:
        """Sweep, a block at a time."""
        first, top = _losses(self.logits[:1])
        band, total = _begin(first, *self._columns()), top.double().sum()
        for start in range(1, len(self.logits), BLOCK):
            losses, tops = _losses(self.logits[start : start + BLOCK])
            total += tops.double().sum()
            band = self._moved(band, len(self.logits) - start)
            self._remember(_sweep(band, losses[:, None], [1] * len(losses))[:, 0])
            self._decide(band)
        end = torch.tensor([self.states - 1 - self.first], device=self.labels.device)
        finals = _finals(band.best, end)[0]
        if not bool(finals.amax() > NOWHERE):
            return Path(np.empty(0, np.int32), NOWHERE, exact=self.lost == NOWHERE)
        self._settle(len(self.blocks), self.states - 1 - int(finals[1] > finals[0]))
        total += _finals(band.sums, end).logsumexp(1).double()[0]
        exact = float(finals.amax()) >= self.lost
        return Path(np.concatenate(self.decided), float(total), exact)

    def _columns(self) -> tuple[Tensor, Tensor]:
        here = slice(self.first, self.first + self.width)
        return self.labels[:, here], self.skips[:, here]

    def _moved(self, band: _Band, frames_left: int) -> _Band:
        """The band around its best state, near enough to the end to reach it; what falls out is noted."""
        rest = self.states - self.width
        centred = self.first + int(band.best.argmax()) - 2 - self.width // 2
        first = max(self.first, min(centred, rest), rest - int(self.hurry * max(0, frames_left - BLOCK)))
        by = first - self.first
        self.first = first
        self._lose(band.best[:, : 2 + by])
        best, sums = (_shifted(values, by) for values in (band.best, band.sums))
        if first < rest:  # what leaves upwards before the next move stands near the upper end now
            self._lose(best[:, -2 * BLOCK :])
        return _Band(*self._columns(), best, sums)

    def _lose(self, best: Tensor) -> None:
        self.lost = max(self.lost, float(best.amax()))

    def _remember(self, steps: Tensor) -> None:
        origins = torch.arange(self.width, device=steps.device)
        for step in steps.flip(0):
            origins = origins - step.gather(0, origins)  # indexing would cost many times as much
        self.blocks.append(_Block(self.first, steps, origins + self.first))

    def _decide(self, band: _Band) -> None:
        """Settle what all ways still open have in common."""
        alive = (band.best[0, 2:] > NOWHERE).nonzero()[:, 0] + self.first
        for count in range(len(self.blocks) - 1, 0, -1):
            block = self.blocks[count]
            alive = block.origins[alive - block.first].unique()
            if len(alive) == 1:
                return self._settle(count, int(alive))
        if sum(block.steps.numel() for block in self.blocks) > PENDING_BYTES:
            self._settle(len(self.blocks), self._choose(band))
        return None

    def _choose(self, band: _Band) -> int:
        """Give up all ways but the best."""
        state = int(band.best.argmax())
        chosen = band.best[:, state].clone()
        band.best[:, state] = NOWHERE
        self._lose(band.best)
        band.best.fill_(NOWHERE)[:, state] = chosen
        return self.first + state - 2

    def _settle(self, count: int, state: int) -> None:
        """Write down the states of the oldest blocks, the last of which ends in `state`."""
        parts = []
        for block in reversed(self.blocks[:count]):
            states = _walk_back(block.steps[:, None], torch.tensor([state - block.first], device=self.labels.device))
            walked = states[:, 0].cpu().numpy() + block.first
            parts.append(walked[1:])
            state = int(walked[0])
        if not self.decided:
            parts.append(np.array([state], np.int32))
        self.decided += parts[::-1]
        del self.blocks[:count]


def _shifted(values: Tensor, by: int) -> Tensor:
    return F.pad(values[:, 2 + by :], (2, by), value=NOWHERE) if by else values
