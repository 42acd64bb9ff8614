"""A text as a lattice's labels: its words' tokens, the delimiter between words, a star for what has no spelling."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from models.spelling import Spelling


@dataclass(frozen=True)
class Labelled:
    """A text as labels."""

    spellings: tuple[Spelling, ...]
    labels: tuple[int, ...]
    owners: tuple[int, ...]
    """The word of each label; -1 between words, and for a star the first of the words that it stands for."""


def label(spellings: Sequence[Spelling], star: int, delimiter: int | None) -> Labelled:
    """A text's labels, words apart; one star for words in a row that have a sound and no spelling."""
    labels: list[int] = []
    owners: list[int] = []
    for is_star, group in groupby(enumerate(spellings), key=lambda item: is_unknown(item[1])):
        members = [(word, spelling.ids) for word, spelling in group if is_star or spelling.ids]
        for word, ids in [(members[0][0], (star,))] if is_star else members:
            if labels and delimiter is not None:
                labels.append(delimiter)
                owners.append(-1)
            labels += ids
            owners += [word] * len(ids)
    return Labelled(tuple(spellings), tuple(labels), tuple(owners))


def is_unknown(spelling: Spelling) -> bool:
    """Whether a word has a sound and no spelling, so that a star stands for it."""
    return not spelling.ids and any(character.isalnum() for character in spelling.missing)
