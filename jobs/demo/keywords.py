"""The words that the classifier tells apart."""

import random
from collections.abc import Iterator

KEYWORDS = (
    *("north", "south", "east", "west", "left", "right", "stop", "enter", "anchor", "pilot", "storm", "bridge"),
    *("harbour", "ferry"),
)


def keywords(seed: int) -> Iterator[str]:
    """One after another without end."""
    chance = random.Random(seed)  # noqa: S311
    while True:
        yield chance.choice(KEYWORDS)
