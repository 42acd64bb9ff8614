"""From a decoder's scores to texts: the best token each time, or beams.

Every clip is searched as if it were alone, and leaves when it is done: its text does not depend on its company.
A score of a reading is the sum of its tokens' log posteriors.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from models.generation import NEVER, Rules

NEVER_SCORED = -1e9
"""Stands for a reading that is not there; as in the reference, whose sums it takes part in."""
COLUMNS = 128
"""The vocabulary is cut into pieces of this width, and only the best pieces are sorted."""

Step = Callable[[Tensor, Tensor | None], Tensor]
"""Each reading's last token and whom it follows, both (clips, beams) -> logits (clips, beams, vocabulary)."""


@dataclass(frozen=True)
class Text:
    """One clip's tokens, as they were written."""

    ids: Tensor
    """(tokens,), without the one that begins"""
    posteriors: Tensor
    """(tokens,): what the decoder gave each, in [0, 1]."""


class Search(Protocol):
    """The role of both searches."""

    def advance(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits (clips, beams, vocabulary) -> the next tokens, and which readings they follow: (clips, beams)."""
        ...

    def done(self) -> Tensor:
        """Which clips are: (clips,)."""
        ...

    def text(self, clip: int) -> Text:
        """The best that was found."""
        ...

    def keep(self, clips: Tensor) -> None:
        """Forget the other clips."""
        ...


def write(step: Step, keep: Callable[[Tensor], None], clips: int, rules: Rules, device: torch.device) -> list[Text]:
    """The text of each clip. `keep` is told which clips go on when some are done."""
    search: Search = Greedy(clips, rules, device) if rules.beams == 1 else Beams(clips, rules, device)
    texts: dict[int, Text] = {}
    left = list(range(clips))
    tokens = torch.full((clips, rules.beams), rules.start, device=device)
    parents: Tensor | None = None
    while left:
        tokens, parents = search.advance(step(tokens, parents))
        done = search.done().tolist()
        if any(done):
            texts |= {clip: search.text(row) for row, clip in enumerate(left) if done[row]}
            going = torch.tensor([row for row in range(len(left)) if not done[row]], dtype=torch.long, device=device)
            left = [left[row] for row in going.tolist()]
            search.keep(going)
            keep(going)
            tokens, parents = tokens[going], None if parents is None else parents[going]
    return [texts[clip] for clip in range(clips)]


class Greedy:
    """The best token each time."""

    def __init__(self, clips: int, rules: Rules, device: torch.device) -> None:
        self.rules = rules
        self.ids = torch.full((clips, 1, 1), rules.start, device=device)
        self.posteriors = torch.empty(clips, 0, device=device)

    def advance(self, logits: Tensor) -> tuple[Tensor, None]:
        """The next tokens."""
        total = logits.logsumexp(-1, keepdim=True)
        best, tokens = constrained(logits, total, self.ids, self.rules).max(-1)
        self.ids = torch.cat([self.ids, tokens[..., None]], 2)
        self.posteriors = torch.cat([self.posteriors, (best - total[..., 0]).exp()], 1)
        return tokens, None

    def done(self) -> Tensor:
        """Ended, or as long as may be."""
        if self.ids.shape[2] >= self.rules.max_length:
            return torch.ones(len(self.ids), dtype=torch.bool)
        return _among(self.ids[:, 0, -1], self.rules.ends)

    def text(self, clip: int) -> Text:
        """What was written."""
        return Text(self.ids[clip, 0, 1:], self.posteriors[clip])

    def keep(self, clips: Tensor) -> None:
        """Forget the other clips."""
        self.ids, self.posteriors = self.ids[clips], self.posteriors[clips]


@dataclass(frozen=True)
class Readings:
    """Some readings of each clip, and how good they are."""

    ids: Tensor
    """(clips, readings, tokens)"""
    posteriors: Tensor
    """(clips, readings, tokens): log posteriors."""
    scores: Tensor
    """(clips, readings)"""
    lengths: Tensor
    """(clips, readings): tokens of each."""

    def of(self, rows: Tensor) -> "Readings":
        """These readings of each clip: (clips, fewer)."""
        wide = rows[..., None].expand(-1, -1, self.ids.shape[2])
        return Readings(
            self.ids.gather(1, wide),
            self.posteriors.gather(1, wide),
            self.scores.gather(1, rows),
            self.lengths.gather(1, rows),
        )

    def beside(self, others: "Readings") -> "Readings":
        """All of these and all of the others."""
        return Readings(
            torch.cat([self.ids, others.ids], 1),
            torch.cat([self.posteriors, others.posteriors], 1),
            torch.cat([self.scores, others.scores], 1),
            torch.cat([self.lengths, others.lengths], 1),
        )

    def scored(self, scores: Tensor) -> "Readings":
        """With other scores."""
        return Readings(self.ids, self.posteriors, scores, self.lengths)

    def keep(self, clips: Tensor) -> "Readings":
        """Of these clips alone."""
        return Readings(self.ids[clips], self.posteriors[clips], self.scores[clips], self.lengths[clips])


class Beams:
    """The best readings side by side, step by step as the reference keeps, finishes and stops them."""

    def __init__(self, clips: int, rules: Rules, device: torch.device) -> None:
        self.rules, self.length = rules, 1
        beams = rules.beams
        ids = torch.full((clips, beams, rules.max_length), rules.start, device=device)
        scores = torch.full((clips, beams), NEVER_SCORED, device=device)
        empty = torch.zeros(clips, beams, rules.max_length, device=device)
        ones = torch.ones(clips, beams, dtype=torch.long, device=device)
        self.finished = Readings(ids, empty, scores, ones)
        self.running = Readings(ids, empty, scores.index_fill(1, torch.tensor([0], device=device), 0.0), ones)
        self.is_finished = torch.zeros(clips, beams, dtype=torch.bool, device=device)
        self.can_improve = torch.ones(clips, 1, dtype=torch.bool, device=device)
        self.all_end = torch.zeros(clips, dtype=torch.bool, device=device)

    def advance(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """The next tokens, and which readings they follow."""
        scores, tokens, parents, posteriors = self._candidates(logits)
        candidates = self.running.of(parents)
        candidates.ids[:, :, self.length] = tokens
        candidates.posteriors[:, :, self.length] = posteriors
        candidates = Readings(candidates.ids, candidates.posteriors, scores, candidates.lengths + 1)
        ends = _among(tokens, self.rules.ends) | (self.length + 1 >= self.rules.max_length)
        going = scores + ends * NEVER_SCORED
        chosen = going.topk(self.rules.beams)[1]
        self.running = candidates.scored(going).of(chosen)
        if bool(ends.any()):
            self._finish(candidates, ends)
        self.length += 1
        self.all_end = ends.all(1)
        self._look_ahead()
        return tokens.gather(1, chosen), parents.gather(1, chosen)

    def done(self) -> Tensor:
        """Nothing better can come, enough is finished, or nothing goes on."""
        enough = self.is_finished.all(1) if self.rules.early_stopping is True else torch.zeros_like(self.all_end)
        return ~self.can_improve[:, 0] | enough | self.all_end

    def text(self, clip: int) -> Text:
        """The best that finished."""
        length = int(self.finished.lengths[clip, 0])
        return Text(self.finished.ids[clip, 0, 1:length], self.finished.posteriors[clip, 0, 1:length].exp())

    def keep(self, clips: Tensor) -> None:
        """Forget the other clips."""
        self.finished, self.running = self.finished.keep(clips), self.running.keep(clips)
        self.is_finished, self.can_improve = self.is_finished[clips], self.can_improve[clips]
        self.all_end = self.all_end[clips]

    def _candidates(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores, tokens, parents and log posteriors of the best continuations.

        They are enough for all beams to go on even if every end token is among them.
        """
        total = logits.logsumexp(-1, keepdim=True)
        allowed = constrained(logits, total, self.running.ids[:, :, : self.length], self.rules)
        count = max(2, 1 + len(self.rules.ends)) * self.rules.beams
        best, tokens = _largest(allowed, min(count, logits.shape[-1]))
        posteriors = best - total
        scores, places = (posteriors + self.running.scores[..., None]).flatten(1).topk(count)
        parents = places // best.shape[-1]
        return scores, tokens.flatten(1).gather(1, places), parents, posteriors.flatten(1).gather(1, places)

    def _finish(self, candidates: Readings, ends: Tensor) -> None:
        """Take in what just ended; only the best of the candidates, as many as there are beams, may."""
        rules = self.rules
        just = ends & (torch.arange(ends.shape[1], device=ends.device) < rules.beams)
        scores = candidates.scores / self.length**rules.length_penalty
        full = self.is_finished.all(1, keepdim=True) & (rules.early_stopping is True)
        scores = scores + full * NEVER_SCORED + ~self.can_improve * NEVER_SCORED + ~just * NEVER_SCORED
        merged = self.finished.beside(candidates.scored(scores))
        best = merged.scores.topk(rules.beams)[1]
        self.finished = merged.of(best)
        self.is_finished = torch.cat([self.is_finished, just], 1).gather(1, best)

    def _look_ahead(self) -> None:
        """Whether the best running reading could still beat the worst finished one."""
        rules = self.rules
        longest = rules.early_stopping == NEVER and rules.length_penalty > 0
        length = (rules.max_length if longest else self.length) - 1
        hoped = self.running.scores[:, :1] / length**rules.length_penalty
        worst = self.finished.scores.min(1, keepdim=True)[0].where(self.is_finished, NEVER_SCORED)
        self.can_improve = self.can_improve & (hoped > worst).any(1, keepdim=True)


def constrained(logits: Tensor, total: Tensor, ids: Tensor, rules: Rules) -> Tensor:
    """Logits with what must not be written at minus infinity; `ids` (clips, beams, tokens) is what was written.

    `total` is the log of their sum: a forced token has all of it.
    """
    length = ids.shape[2]
    if rules.no_repeat_ngram:
        _ban_repeats(logits, ids, rules.no_repeat_ngram)
    for word in rules.bad_words:
        _ban_word(logits, ids, word)
    if length < rules.min_length:
        logits[..., list(rules.ends)] = -torch.inf
    for forced, now in (((rules.first,), length == 1), (rules.last, length == rules.max_length - 1)):
        if now and forced and forced[0] is not None:
            logits.fill_(-torch.inf)[..., list(forced)] = total
    logits[..., list(rules.suppressed)] = -torch.inf
    if length == (1 if rules.first is None else 2):
        logits[..., list(rules.suppressed_first)] = -torch.inf
    return logits


def _ban_repeats(logits: Tensor, ids: Tensor, size: int) -> None:
    """What would complete a row of `size` tokens that occurred before."""
    if ids.shape[2] < size:
        return
    windows = ids.unfold(2, size, 1)  # (clips, beams, places, size)
    tail = ids[:, :, None, ids.shape[2] - size + 1 :]
    clips, beams, places = (windows[..., :-1] == tail).all(-1).nonzero(as_tuple=True)
    logits[clips, beams, windows[clips, beams, places, -1]] = -torch.inf


def _ban_word(logits: Tensor, ids: Tensor, word: tuple[int, ...]) -> None:
    """The last token of a word whose other tokens were just written."""
    others = len(word) - 1
    if others <= ids.shape[2]:
        tail = ids[:, :, ids.shape[2] - others :]
        begun = (tail == torch.tensor(word[:-1], device=ids.device)).all(-1)
        logits[..., word[-1]] = logits[..., word[-1]].masked_fill(begun, -torch.inf)


def _largest(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest of each row, best first, and where they are.

    They lie in those pieces of the row whose own largest are largest, and only these are sorted.
    """
    pieces = logits.shape[-1] // COLUMNS
    if pieces <= 2 * count:
        return logits.topk(count)
    cut = logits[..., : pieces * COLUMNS].unflatten(-1, (pieces, COLUMNS))
    chosen = cut.amax(-1).topk(count)[1]
    short = cut.gather(-2, chosen[..., None].expand(*chosen.shape, COLUMNS)).flatten(-2)
    rest = logits[..., pieces * COLUMNS :]
    best, places = torch.cat([short, rest], -1).topk(count)
    inside = chosen.gather(-1, (places // COLUMNS).clamp_max(count - 1)) * COLUMNS + places % COLUMNS
    return best, torch.where(places < count * COLUMNS, inside, places + (pieces - count) * COLUMNS)


def _among(ids: Tensor, some: tuple[int, ...]) -> Tensor:
    return torch.isin(ids, torch.tensor(some, dtype=ids.dtype, device=ids.device))
