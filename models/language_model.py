"""N-gram language models of words, looked up for many readings at once.

An ARPA file becomes sorted tables on the device, so that a frame costs a few searches, whatever the number of clips.
A KenLM binary is asked word by word by its own library, and each answer is kept for as long as the search lasts. Both
know words whatever their case; of those that only their case tells apart, a word is the likeliest.
"""

import importlib.util
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from models.arpa import Entry, read_sections
from models.kenlm_binary import KenlmBinary, likelihood, listed_words, open_binary

PRIME = 0x100000001B3
"""An odd multiplier for hashes; products wrap around in 64 bits."""
NATURAL = math.log(10)
"""ARPA files hold logarithms to base 10."""
BINARY = b"mmap lm http://kheafield.com/code"
"""How KenLM's binary files begin."""
NOBODY = -1
"""Where a context has no word."""


class LanguageModelError(ValueError):
    """A file that is no language model, and why."""


class LanguageModel(Protocol):
    """The role of both kinds. Words are known by the hash of their letters in lower case."""

    @property
    def start(self) -> tuple[int, ...]:
        """The context before the first word."""
        ...

    @property
    def spelled(self) -> dict[int, str] | None:
        """How words are written, by their hashes, for a search to complete; None where hashes are enough."""
        ...

    def fresh(self) -> "LanguageModel":
        """The same for another search, which what is kept for one does not outlive."""
        ...

    def score(self, contexts: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Natural log-probability of each word after (..., words) contexts, and the contexts after it."""
        ...

    def end(self, contexts: Tensor) -> Tensor:
        """Natural log-probability that nothing follows."""
        ...


def wrapped(value: int) -> int:
    """A whole number as 64 bits hold it."""
    return (value + 2**63) % 2**64 - 2**63


def name(word: str) -> int:
    """The hash of a word's letters, whatever their case."""
    value = 0
    for letter in word.lower():
        value = (value * PRIME + ord(letter) + 1) % 2**64
    return wrapped(value)


@dataclass(frozen=True)
class Lookup:
    """Numbers under 64-bit keys."""

    keys: Tensor
    """Sorted."""
    values: Tensor
    """One row per key."""

    @classmethod
    def of(cls, keys: Sequence[int], values: Tensor) -> "Lookup":
        """A table of these; of equal keys the first counts."""
        keyed, order = torch.tensor(keys, dtype=torch.long).sort(stable=True)
        fresh = torch.ones_like(keyed, dtype=torch.bool)
        fresh[1:] = keyed[1:] != keyed[:-1]
        return cls(keyed[fresh], values[order[fresh]])

    def find(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Each key's values (anything where it is not there), and whether it is there."""
        if not len(self.keys):
            return self.values.new_zeros((*keys.shape, *self.values.shape[1:])), torch.zeros_like(
                keys, dtype=torch.bool
            )
        place = torch.searchsorted(self.keys, keys.contiguous()).clamp_max(len(self.keys) - 1)
        return self.values[place], self.keys[place] == keys

    def to(self, device: torch.device) -> "Lookup":
        """The table where it is asked."""
        return Lookup(self.keys.to(device), self.values.to(device))


@dataclass(frozen=True)
class Ngrams:
    """An ARPA file's tables, with backing off."""

    words: Lookup
    """A word's hash -> its number."""
    orders: tuple[Lookup, ...]
    """By order, from one word: the hash of the n-gram's numbers -> natural log-probability and back-off weight."""
    unknown: int
    """The number of a word that is not known."""
    start: tuple[int, ...]
    """The context before the first word."""
    stop: int
    """The number of the end."""
    spelled: None = None
    """All words are known by their hashes."""
    elsewhere: dict[torch.device, "Ngrams"] = field(default_factory=dict, compare=False, repr=False)
    """The same on the devices that have asked."""

    def fresh(self) -> "Ngrams":
        """A search leaves nothing in tables."""
        return self

    def score(self, contexts: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Natural log-probability of each word after (..., words) contexts, and the contexts after it."""
        tables = self.on(contexts.device)
        numbers, known = tables.words.find(words)
        return tables.follow(contexts, torch.where(known, numbers, self.unknown))

    def end(self, contexts: Tensor) -> Tensor:
        """Natural log-probability that nothing follows."""
        tables = self.on(contexts.device)
        return tables.follow(contexts, torch.full_like(contexts[..., 0], self.stop))[0]

    def follow(self, contexts: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """The same for words by their numbers."""
        likely = torch.zeros(numbers.shape, dtype=torch.float64, device=numbers.device)
        settled = torch.zeros(numbers.shape, dtype=torch.bool, device=numbers.device)
        for order in range(len(self.orders), 0, -1):
            history = contexts[..., contexts.shape[-1] - (order - 1) :] if order > 1 else contexts[..., :0]
            whole = (history != NOBODY).all(-1)
            found, there = self.orders[order - 1].find(_key(torch.cat([history, numbers[..., None]], -1)))
            there = there & whole & ~settled
            likely = torch.where(there, likely + found[..., 0], likely)
            settled = settled | there
            if order > 1:
                weight, backs = self.orders[order - 2].find(_key(history))
                likely = torch.where(backs & whole & ~settled, likely + weight[..., 1], likely)
        return likely, torch.cat([contexts[..., 1:], numbers[..., None]], -1)

    def on(self, device: torch.device) -> "Ngrams":
        """The tables on a device, moved there once."""
        if self.words.keys.device == device:
            return self
        if device not in self.elsewhere:
            orders = tuple(order.to(device) for order in self.orders)
            self.elsewhere[device] = replace(self, words=self.words.to(device), orders=orders, elsewhere={})
        return self.elsewhere[device]


def _key(numbers: Tensor) -> Tensor:
    """The hash of (..., words) numbers."""
    key = torch.zeros_like(numbers[..., 0])
    for column in numbers.unbind(-1):
        key = key * PRIME + column + 1
    return key


def load_language_model(path: Path | str) -> LanguageModel:
    """The language model in an ARPA file or a KenLM binary."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            binary = file.read(len(BINARY)) == BINARY
    except OSError as error:
        raise LanguageModelError(f"the language model {path} cannot be read ({error.strerror})") from error
    return _read_binary(path) if binary else _read_arpa(path)


def _read_binary(path: Path) -> KenlmBinary:
    if importlib.util.find_spec("kenlm") is None:
        raise LanguageModelError(
            f"the language model {path} is a KenLM binary: pip install -e '.[lm]' in the project's folder to read it"
        )
    try:
        model, listed = open_binary(path), listed_words(path)
    except (OSError, RuntimeError) as error:
        raise LanguageModelError(f"the language model {path} is cut short or damaged ({error})") from error
    forms = _likeliest((word, likelihood(model, word)) for word in listed)
    return KenlmBinary(model, forms or None)


def _read_arpa(path: Path) -> Ngrams:
    try:
        sections = list(read_sections(path))
    except (UnicodeDecodeError, ValueError) as error:
        raise LanguageModelError(f"the language model {path} is no ARPA file: {error}") from error
    if not sections or not sections[0]:
        raise LanguageModelError(f"the language model {path} is no ARPA file: it has no \\1-grams: section")
    unigrams = sections[0]
    numbers = {entry.words[0]: i for i, entry in enumerate(unigrams)}
    absent = [token for token in ("<s>", "</s>") if token not in numbers]
    if absent:
        raise LanguageModelError(f"the language model {path} has no {' and no '.join(absent)} among its words")
    least = min((entry.likely for entry in unigrams if entry.likely > -90), default=-90.0)
    unknown = numbers.get("<unk>", numbers.get("<UNK>", len(numbers)))
    if unknown == len(numbers):
        numbers["<unk>"] = unknown
        unigrams.append(Entry(least - 1, ("<unk>",), 0.0))
    forms = _likeliest((entry.words[0], entry.likely) for entry in unigrams)
    words = Lookup.of(list(forms), torch.tensor([numbers[word] for word in forms.values()]))
    try:
        orders = tuple(_table(section, numbers) for section in sections)
    except KeyError as error:
        raise LanguageModelError(f"the language model {path} has n-grams with {error}, which is no 1-gram") from error
    context = [NOBODY] * max(len(sections) - 1, 1)
    context[-1] = numbers["<s>"]
    return Ngrams(words, orders, unknown, tuple(context), numbers["</s>"])


def _table(section: Sequence[Entry], numbers: dict[str, int]) -> Lookup:
    rows = torch.tensor([[entry.likely, entry.back] for entry in section], dtype=torch.float64).reshape(-1, 2) * NATURAL
    ids = [[numbers[word] for word in entry.words] for entry in section]
    keys = _key(torch.tensor(ids, dtype=torch.long)).tolist() if ids else []
    return Lookup.of(keys, rows)


def _likeliest(words: Iterable[tuple[str, float]]) -> dict[int, str]:
    """Words by their hashes: where only their case tells some apart, the one that is likeliest by itself."""
    ranked = sorted(words, key=lambda each: (-each[1], each[0]))
    return {name(word): word for word, _ in reversed(ranked)}
