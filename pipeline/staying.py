"""The role of what a worker calls between two pieces of work, to learn whether it may stay where it is."""

from collections.abc import Callable

Leave = Callable[[], None]
"""Returns, or ends the process."""


def stay() -> None:
    """Nobody sends it away."""
