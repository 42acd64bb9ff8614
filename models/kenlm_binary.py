"""KenLM's binary files, through its own library: the extra `lm`.

Its states are kept in a list, and a context is a place in it; every answer is kept, so that a word costs one question
after each context. The library knows words by their letters, which the search therefore has to spell.
"""

import importlib.util
from pathlib import Path

import torch
from torch import Tensor

if importlib.util.find_spec("kenlm") is not None:
    import kenlm

NATURAL = 2.302585092994046
"""Its logarithms are to base 10."""


class KenlmBinary:
    """A language model that is asked word by word."""

    def __init__(self, path: Path) -> None:
        self.model = kenlm.Model(str(path))
        begun = kenlm.State()
        self.model.BeginSentenceWrite(begun)
        self.states = [begun]
        self.known: dict[tuple[int, int], tuple[float, int]] = {}
        self.spelled: dict[int, str] | None = {0: ""}
        """How words are written, by their hashes; the search completes it."""

    @property
    def start(self) -> tuple[int, ...]:
        """The context before the first word."""
        return (0,)

    def score(self, contexts: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Natural log-probability of each word after (..., 1) contexts, and the contexts after it."""
        pairs = zip(contexts[..., 0].flatten().tolist(), words.flatten().tolist(), strict=True)
        answers = [self._ask(context, word) for context, word in pairs]
        likely = torch.tensor([score for score, _ in answers], dtype=torch.float64, device=words.device)
        after = torch.tensor([state for _, state in answers], device=words.device)
        return likely.reshape(words.shape), after.reshape(contexts.shape)

    def end(self, contexts: Tensor) -> Tensor:
        """Natural log-probability that nothing follows."""
        out = kenlm.State()
        scores = [self.model.BaseScore(self.states[i], "</s>", out) for i in contexts[..., 0].flatten().tolist()]
        return torch.tensor(scores, dtype=torch.float64, device=contexts.device).reshape(contexts.shape[:-1]) * NATURAL

    def _ask(self, context: int, word: int) -> tuple[float, int]:
        if (context, word) not in self.known:
            after = kenlm.State()
            score = self.model.BaseScore(self.states[context], self._written(word), after)
            self.states.append(after)
            self.known[context, word] = score * NATURAL, len(self.states) - 1
        return self.known[context, word]

    def _written(self, word: int) -> str:
        """The word in the case that the model knows."""
        lower = (self.spelled or {}).get(word, "")
        return next((text for text in (lower, lower.upper(), lower.capitalize()) if text in self.model), lower)
