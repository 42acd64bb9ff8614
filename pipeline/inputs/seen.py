"""Which ids were there before, in eight bytes each.

Two ids share their eight bytes once in 10^7 plans of a million; then one of them gets a longer name, and none is lost.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]


class Seen:
    """A set of eight-byte keys, kept as few sorted runs."""

    def __init__(self) -> None:
        self._runs: list[Keys] = []

    def take(self, keys: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Which of the keys are new, each at its first place; from now on none of them is."""
        asked = np.array(keys, np.uint64)
        fresh = np.zeros(len(asked), np.bool_)
        fresh[np.unique(asked, return_index=True)[1]] = True
        fresh &= ~self.has(asked)
        self._add(np.sort(asked[fresh]))
        return fresh

    def has(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Which of the keys were taken before."""
        known = np.zeros(len(keys), np.bool_)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, keys), len(run) - 1)
            known |= run[places] == keys
        return known

    def _add(self, run: Keys) -> None:
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        if len(run):
            self._runs.append(run)
