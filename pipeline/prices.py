"""What a cluster costs while it stands: each node by the hour, by what it is.

Nodes come and go, so the cost is summed up from looks at who is there: what stood at one is paid until the next.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

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

    def of(self, node: Names) -> float:
        """Per hour of this node: by the first of its names that has a price, else nothing."""
        return next((self.per_hour[name] for name in node if name in self.per_hour), 0.0)

    def together(self, nodes: Iterable[Names]) -> float:
        """Per hour of all of them."""
        return sum(map(self.of, nodes))


class Bill:
    """Watches a run, and writes what it has cost into its tally."""

    def __init__(self, prices: Prices, nodes: Callable[[], Iterable[Names]]) -> None:
        self.prices, self.nodes = prices, nodes
        self._looked, self._rate = time.monotonic(), prices.together(nodes())
        self._owed = 0.0

    def __call__(self, tally: Tally) -> None:
        """Bring the tally up to date."""
        now = time.monotonic()
        if now - self._looked >= EVERY:
            self._owed += self._since(now)
            self._looked, self._rate = now, self.prices.together(self.nodes())
        tally.cost = self._owed + self._since(now)

    def _since(self, now: float) -> float:
        return self._rate * (now - self._looked) / HOUR
