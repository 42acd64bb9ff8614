"""What was said beside what was read, word by word, as `steno score` counts it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.scoring import normalise, pair

LONGEST = 1_500
"""Words of a side that are compared: beyond, a page cannot show it."""


@dataclass(frozen=True)
class Compared:
    """The words of a reference, each with what became of it, and which words of the reading are wrong."""

    said: tuple[tuple[str, str], ...] = ()
    """A word, and how it was read: `right`, `other` or `missing`; `extra` for one that nobody said."""
    wrong: tuple[bool, ...] = ()
    """For each word of the reading, whether the reference has another one there, or none."""


def compared(reference: str, read: Sequence[str]) -> Compared:
    """Both sides normalised as they are scored; `read` are the words of the table."""
    tokens = [(token, owner) for owner, word in enumerate(read) for token in normalise(word).split()]
    said = normalise(reference).split()
    if not said or max(len(said), len(tokens)) > LONGEST:
        return Compared()
    wrong, told = [False] * len(read), list[tuple[str, str]]()
    for i, j in pair(said, [token for token, _ in tokens]):
        fate = "extra" if i is None else "missing" if j is None else "right" if said[i] == tokens[j][0] else "other"
        told.append((tokens[j or 0][0] if i is None else said[i], fate))
        if j is not None and fate != "right":
            wrong[tokens[j][1]] = True
    return Compared(tuple(told), tuple(wrong))
