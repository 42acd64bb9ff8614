"""Words and the tokens that spell them.

A word is found from what each token writes, never from the text alone: so it always knows its tokens, even where one
token writes the end of a word and the beginning of the next.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spelled:
    """A word that tokens wrote."""

    text: str
    first: int
    """Index of the first token that wrote some of it."""
    last: int
    """One past the index of the last."""


@dataclass(frozen=True)
class Spelling:
    """A word, as tokens would write it."""

    word: str
    ids: tuple[int, ...]
    """The tokens, without those for what is missing."""
    missing: str
    """The characters that no token writes, in order."""


def split(surfaces: Iterable[str]) -> list[Spelled]:
    """The words in what successive tokens write."""
    words: list[Spelled] = []
    text, first, last = "", 0, 0
    for index, surface in enumerate(surfaces):
        for character in surface:
            if not character.isspace():
                first = first if text else index
                text, last = text + character, index + 1
            elif text:
                words.append(Spelled(text, first, last))
                text = ""
    return [*words, Spelled(text, first, last)] if text else words


def regroup(words: Sequence[Spelled], written: Sequence[str]) -> list[Spelled]:
    """The words under the spelling `written`, which leaves out some of the spaces between them."""
    left = iter(words)
    grouped = []
    for text in written:
        group = [next(left)]
        while sum(len(word.text) for word in group) < len(text):
            group.append(next(left))
        grouped.append(Spelled(text, group[0].first, group[-1].last))
    return grouped


TIDY = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")


def tidy(text: str) -> str:
    """Text without the spaces that some published vocabularies ask to be taken away."""
    for spaced in TIDY:
        text = text.replace(spaced, spaced.strip())
    return text


def sounding(spelling: Spelling, surface: Callable[[int], str]) -> Spelling:
    """Without any token where all that is left of a word is the space before it: there is nothing to hear."""
    written = any(surface(i).strip() for i in spelling.ids)
    return spelling if written else Spelling(spelling.word, (), spelling.missing)


def in_any_case(word: str, spell: Callable[[str], Spelling]) -> Spelling:
    """How a word is spelled, in the case that leaves least of it out."""
    spellings = [spell(written) for written in (word, word.upper(), word.lower())]
    best = min(spellings, key=lambda spelling: len(spelling.missing))
    return Spelling(word, best.ids, best.missing)
