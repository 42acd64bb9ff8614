"""What words add to the score of a reading: a language model's opinion, a bonus, and hot words.

A word counts when it is complete: when the token between words comes, a piece that begins another, or the end. Until
then only hot words count, by the share of their letters that is there, and that is taken back if they do not come true.
Words are known by a hash of their letters in lower case, which grows token by token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from models.language_model import PRIME, LanguageModel, Lookup, name, wrapped


@dataclass(frozen=True)
class Spoken:
    """What each reading has said so far, in words."""

    word: Tensor
    """(clips, beam) hash of the word that is not complete; 0 where there is none."""
    context: Tensor
    """(clips, beam, words) what the language model remembers."""
    earned: Tensor
    """(clips, beam) what complete words have added."""

    def first(self, clips: int) -> "Spoken":
        """Those of the first clips only."""
        return Spoken(self.word[:clips], self.context[:clips], self.earned[:clips])


class Fusion(Protocol):
    """The role of both kinds."""

    def start(self, clips: int, beam: int, device: torch.device) -> Spoken:
        """Nothing said."""
        ...

    def standing(self, spoken: Spoken) -> Tensor:
        """What is added to readings that stay: (clips, beam)."""
        ...

    def growing(self, spoken: Spoken, tokens: Tensor) -> Tensor:
        """What is added to readings that grow by each of (clips, classes) tokens: (clips, beam, classes)."""
        ...

    def grow(self, spoken: Spoken, source: Tensor, token: Tensor) -> Spoken:
        """Readings, each from its place before, with its token if that is not -1."""
        ...

    def ending(self, spoken: Spoken) -> Tensor:
        """What is added to readings that end here: (clips, beam)."""
        ...


class Unheard:
    """Words add nothing: the search by itself."""

    def start(self, clips: int, beam: int, device: torch.device) -> Spoken:
        """Nothing said."""
        nothing = torch.zeros(clips, beam, dtype=torch.long, device=device)
        return Spoken(nothing, nothing[:, :, None], nothing.double())

    def standing(self, spoken: Spoken) -> Tensor:
        """Nothing."""
        return spoken.earned

    def growing(self, spoken: Spoken, tokens: Tensor) -> Tensor:
        """Nothing."""
        return spoken.earned[:, :, None].expand(-1, -1, tokens.shape[1])

    def grow(self, spoken: Spoken, source: Tensor, token: Tensor) -> Spoken:
        """The same."""
        return spoken

    def ending(self, spoken: Spoken) -> Tensor:
        """Nothing."""
        return spoken.earned


@dataclass(frozen=True)
class Tokens:
    """What each token does to the word that is not complete."""

    begins: Tensor
    """(tokens,) whether it completes that word and begins another."""
    times: Tensor
    """(tokens,) what that word's hash is multiplied by."""
    plus: Tensor
    """(tokens,) what is added to it."""

    @classmethod
    def of(cls, surfaces: Sequence[str]) -> "Tokens":
        """From what each token writes, spaces and all."""
        written = [surface.strip() for surface in surfaces]
        begins = [surface[:1].isspace() for surface in surfaces]
        times = [wrapped(pow(PRIME, len(text.lower()), 2**64)) for text in written]
        return cls(torch.tensor(begins), torch.tensor(times), torch.tensor([name(text) for text in written]))

    def after(self, word: Tensor, token: Tensor) -> Tensor:
        """The word's hash after a token."""
        return torch.where(self.begins[token], 0, word * self.times[token]) + self.plus[token]


class Words:
    """Words count by a language model, a bonus each, and whether they are hot."""

    def __init__(
        self,
        surfaces: Sequence[str],
        device: torch.device,
        *,
        language_model: LanguageModel | None,
        language_weight: float,
        word_bonus: float,
        hotwords: Sequence[str],
        hotword_boost: float,
    ) -> None:
        tokens = Tokens.of(surfaces)
        self.tokens = Tokens(tokens.begins.to(device), tokens.times.to(device), tokens.plus.to(device))
        self.surfaces = surfaces
        self.model = None if language_model is None else language_model.fresh()
        self.weight, self.bonus = language_weight, word_bonus
        self.last_closed: tuple[Spoken, Tensor, Tensor] | None = None
        self.partly, self.wholly = (table.to(device) for table in _heat(hotwords, hotword_boost))

    def start(self, clips: int, beam: int, device: torch.device) -> Spoken:
        """Nothing said."""
        context = torch.tensor((0,) if self.model is None else self.model.start, device=device)
        nothing = torch.zeros(clips, beam, dtype=torch.long, device=device)
        return Spoken(nothing, context.expand(clips, beam, -1), nothing.double())

    def standing(self, spoken: Spoken) -> Tensor:
        """What complete words and the beginning of a hot one add."""
        return spoken.earned + _value(self.partly, spoken.word)

    def growing(self, spoken: Spoken, tokens: Tensor) -> Tensor:
        """The same after each token."""
        closed, _ = self._closed(spoken)
        begins = self.tokens.begins[tokens][:, None, :]
        word = self.tokens.after(spoken.word[:, :, None], tokens[:, None, :])
        return torch.where(begins, closed[:, :, None], spoken.earned[:, :, None]) + _value(self.partly, word)

    def grow(self, spoken: Spoken, source: Tensor, token: Tensor) -> Spoken:
        """Readings after their tokens."""
        closed, after = self._closed(spoken)
        known = token.clamp_min(0)
        completes = (token >= 0) & self.tokens.begins[known]
        word = spoken.word.gather(1, source)
        grown = torch.where(token >= 0, self.tokens.after(word, known), word)
        if self.model is not None and self.model.spelled is not None:
            self._spell(self.model.spelled, word, token, grown)
        from_here = source[:, :, None].expand(-1, -1, spoken.context.shape[2])
        return Spoken(
            grown,
            torch.where(completes[:, :, None], after.gather(1, from_here), spoken.context.gather(1, from_here)),
            torch.where(completes, closed.gather(1, source), spoken.earned.gather(1, source)),
        )

    def ending(self, spoken: Spoken) -> Tensor:
        """What all words add, the last one too, and that nothing follows."""
        closed, after = self._closed(spoken)
        return closed if self.model is None else closed + self.weight * self.model.end(after)

    def _closed(self, spoken: Spoken) -> tuple[Tensor, Tensor]:
        """What words have added, and the context, when the word under way is complete. Asked twice a frame."""
        if self.last_closed is None or self.last_closed[0] is not spoken:
            self.last_closed = (spoken, *self._close(spoken))
        return self.last_closed[1:]

    def _close(self, spoken: Spoken) -> tuple[Tensor, Tensor]:
        there = spoken.word != 0
        added, context = self.bonus + _value(self.wholly, spoken.word), spoken.context
        if self.model is not None:
            likely, after = self.model.score(spoken.context, spoken.word)
            added = added + self.weight * likely
            context = torch.where(there[:, :, None], after, context)
        return torch.where(there, spoken.earned + added, spoken.earned), context

    def _spell(self, spelled: dict[int, str], before: Tensor, token: Tensor, after: Tensor) -> None:
        """Keep how the words under way are written."""
        begins = self.tokens.begins.tolist()
        for old, i, new in zip(*(values.flatten().tolist() for values in (before, token, after)), strict=True):
            if i >= 0 and new not in spelled:
                spelled[new] = ("" if begins[i] else spelled.get(old, "")) + self.surfaces[i].strip().lower()


def _heat(hotwords: Sequence[str], boost: float) -> tuple[Lookup, Lookup]:
    """What the beginnings of hot words are worth, and what hot words are."""
    words = sorted({word for phrase in hotwords for word in phrase.split()})
    shares: dict[int, float] = {}
    for word in words:
        for letters in range(1, len(word) + 1):
            key = name(word[:letters])
            shares[key] = max(shares.get(key, 0.0), boost * letters / len(word))
    whole = torch.full((len(words),), boost, dtype=torch.float64)
    return (
        Lookup.of(list(shares), torch.tensor(list(shares.values()), dtype=torch.float64)),
        Lookup.of([name(word) for word in words], whole),
    )


def _value(table: Lookup, keys: Tensor) -> Tensor:
    values, there = table.find(keys)
    return torch.where(there, values, 0.0)
