"""What a cluster costs while it stands: each node by the hour, by what it is.

Nodes come and go, so the cost is summed up from looks at who is there: what stood at one is paid until the next.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.log import NOTICE, tell
from pipeline.tally import Tally

HOUR = 3600.0
EVERY = 5.0
"""Seconds between two looks at the cluster."""
GPU, CPU = "gpu", "cpu"
"""What a node without a name of its own is called: by whether it has a GPU."""

Names = Sequence[str]
"""What a node may be called, the most telling name first."""


@dataclass(frozen=True)
class Prices:
    """Per hour of a node, by its name."""

    per_hour: Mapping[str, float]

    def of(self, node: Names) -> float | None:
        """Per hour of this node: by the first of its names that has a price; None where none has."""
        return next((self.per_hour[name] for name in node if name in self.per_hour), None)

    def together(self, nodes: Iterable[Names]) -> float:
        """Per hour of all of them; what has no price counts as nothing, as `unpriced` tells."""
        return sum(self.of(node) or 0.0 for node in nodes)

    def unpriced(self, nodes: Iterable[Names]) -> set[str]:
        """What the nodes without a price are called, each by its most telling name."""
        return {node[0] for node in nodes if self.per_hour and self.of(node) is None}


class Bill:
    """Watches a run, and writes what it has cost into its tally.

    What is there when it is first looked at counts from when the run began: it had the machine to itself meanwhile.
    """

    def __init__(self, prices: Prices, nodes: Callable[[], Iterable[Names]], began: float) -> None:
        self.prices, self.nodes = prices, nodes
        self._owed, self._missed = 0.0, set[str]()
        self._look()
        self._looked = began

    def __call__(self, tally: Tally) -> None:
        """Bring the tally up to date."""
        now = time.monotonic()
        tally.cost = self._owed + self._since(now)
        if now - self._looked >= EVERY:
            self._owed = tally.cost
            self._look()

    def _look(self) -> None:
        there = list(self.nodes())
        self._looked, self._rate = time.monotonic(), self.prices.together(there)
        for name in sorted(self.prices.unpriced(there) - self._missed):
            tell(f"no price is for a node called {name}: it counts as free (--price {name}=0.5, say)", level=NOTICE)
            self._missed.add(name)

    def _since(self, now: float) -> float:
        return self._rate * (now - self._looked) / HOUR
