"""KenLM's binary files, through its own library: the extra `lm`.

Its states are kept in a list, and a context is a place in it; equal states share a place, and every answer is kept, so
that a word costs one question after each context. All that belongs to one search, and goes with it.

The library knows words by their letters, case and all. A binary lists its words at its end, so that they are found by
their hashes, whatever their case. One that was built without the list (`build_binary -v`) is asked for a word in lower
case, in upper case and with capitals where words begin, which the search has to spell; a McDonald stays unknown.
"""

import importlib.util
import mmap
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

if importlib.util.find_spec("kenlm") is not None:
    import kenlm

NATURAL = 2.302585092994046
"""Its logarithms are to base 10."""
UNKNOWN = "<unk>"
"""Any word that the model does not know; the first of the list."""
LISTED, COUNT = 100, 108
"""Where the head of a file says whether words are listed, in one byte, and how many there are, in eight."""


class KenlmBinary:
    """A language model that is asked word by word."""

    def __init__(self, model: "kenlm.Model", forms: Mapping[int, str] | None) -> None:
        """`forms` is how the model writes its words, by their hashes; None where that is not known."""
        self.model, self.forms = model, forms
        begun = kenlm.State()
        self.model.BeginSentenceWrite(begun)
        self.states, self.places = [begun], {begun: 0}
        self.known: dict[tuple[int, str], tuple[float, int]] = {}
        self.spelled: dict[int, str] | None = {0: ""} if forms is None else None
        """How words are written, by their hashes, where the search has to complete it."""
        self.chosen: dict[int, str] = {}
        """In which case each of those is asked for."""

    @property
    def start(self) -> tuple[int, ...]:
        """The context before the first word."""
        return (0,)

    def fresh(self) -> "KenlmBinary":
        """The same model, with nothing kept."""
        return KenlmBinary(self.model, self.forms)

    def score(self, contexts: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Natural log-probability of each word after (..., 1) contexts, and the contexts after it."""
        pairs = zip(contexts[..., 0].flatten().tolist(), words.flatten().tolist(), strict=True)
        answers = [self._ask(context, self._written(word)) for context, word in pairs]
        likely = torch.tensor([score for score, _ in answers], dtype=torch.float64, device=words.device)
        after = torch.tensor([state for _, state in answers], device=words.device)
        return likely.reshape(words.shape), after.reshape(contexts.shape)

    def end(self, contexts: Tensor) -> Tensor:
        """Natural log-probability that nothing follows."""
        scores = [self._ask(context, "</s>")[0] for context in contexts[..., 0].flatten().tolist()]
        return torch.tensor(scores, dtype=torch.float64, device=contexts.device).reshape(contexts.shape[:-1])

    def _ask(self, context: int, word: str) -> tuple[float, int]:
        if (context, word) not in self.known:
            after = kenlm.State()
            score = self.model.BaseScore(self.states[context], word, after)
            place = self.places.setdefault(after, len(self.states))
            if place == len(self.states):
                self.states.append(after)
            self.known[context, word] = score * NATURAL, place
        return self.known[context, word]

    def _written(self, word: int) -> str:
        """The word in the case that the model knows best."""
        if self.forms is not None:
            return self.forms.get(word, UNKNOWN)
        if word not in self.chosen:
            lower = (self.spelled or {}).get(word, "")
            cases = (lower, lower.upper(), lower.capitalize(), lower.title())
            known = [(-likelihood(self.model, text), text) for text in cases if text in self.model]
            self.chosen[word] = min(known)[1] if known else UNKNOWN
        return self.chosen[word]


def open_binary(path: Path) -> "kenlm.Model":
    """The library's model; RuntimeError or OSError where it cannot read it."""
    return kenlm.Model(str(path))


def likelihood(model: "kenlm.Model", word: str) -> float:
    """The logarithm of a word's probability after nothing in particular."""
    nothing = kenlm.State()
    model.NullContextWrite(nothing)
    return float(model.BaseScore(nothing, word, kenlm.State()))


def listed_words(path: Path) -> list[str]:
    """The words that a binary lists; none where it was built without.

    Raises RuntimeError, as the library does, where fewer are left than the file counts.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if not content[LISTED]:
            return []
        first = content.rfind(f"{UNKNOWN}\0".encode())
        words = content[first:].decode("utf-8", "replace").split("\0")[:-1] if first >= 0 else []
        if len(words) < int.from_bytes(content[COUNT : COUNT + 8], "little"):
            raise RuntimeError("the list of its words is not whole")
        return words
