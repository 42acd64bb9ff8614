"""Which ids were there before, in eight bytes each.

Two ids share their eight bytes once in 10^7 plans of a million; then one of them gets a longer name, and none is lost.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from pipeline.inputs.rows import Row, key

Keys = npt.NDArray[np.uint64]
AT_ONCE = 4096


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


def named(rows: Iterator[tuple[str, Row]], seen: Seen) -> Iterator[tuple[str, Row]]:
    """Give every row an id that no other has.

    The first of several keeps its name; the others get a mark made of where they lie, the same in every plan.
    """
    while batch := list(islice(rows, AT_ONCE)):
        fresh = seen.take([key(_name(row)) for _, row in batch])
        for (form, row), new in zip(batch, fresh, strict=True):
            yield form, row if new else _renamed(row, seen)


def _name(row: Row) -> str:
    """What must be unique: a recording's id, or what the ids of a container's recordings begin with."""
    if row.recording_id is not None:
        return row.recording_id
    return "/".join(map(str, (row.extra, row.begin_byte, row.row_group)))


def _renamed(row: Row, seen: Seen) -> Row:
    place = key(row.uri, row.begin, row.duration, row.channel, row.begin_byte, row.row_group, row.reference)
    count = 1
    while True:
        mark = f"~{place:016x}"[:9] + (f".{count}" if count > 1 else "")
        other = _marked(row, mark)
        if seen.take([key(_name(other))])[0]:
            return other
        count += 1


def _marked(row: Row, mark: str) -> Row:
    if row.recording_id is not None:
        return row._replace(recording_id=row.recording_id + mark)
    return row._replace(extra=(row.extra or "").replace('"prefix": "', f'"prefix": "{mark[1:]}/', 1))
