"""Which ids were there before, in eight bytes each.

Two ids share their eight bytes once in 10^7 plans of a million; then one of them gets a longer name, and none is lost.
"""

import itertools
import json
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
    """Give every recording an id that no other has, and every container a prefix that no other has.

    The first of several keeps its name; the others get a mark made of where they lie, the same in every plan.
    """
    while batch := list(islice(rows, AT_ONCE)):
        fresh = iter(seen.take([key("id", row.recording_id) for _, row in batch if row.recording_id is not None]))
        for form, row in batch:
            if row.recording_id is None:
                yield form, _container(row, seen)
            else:
                yield form, row if next(fresh) else _renamed(row, seen)


def _renamed(row: Row, seen: Seen) -> Row:
    place = key(row.uri, row.begin, row.duration, row.channel, row.reference)
    for count in itertools.count(1):
        name = f"{row.recording_id}~{place:016x}"[:-8] + (f".{count}" if count > 1 else "")
        if seen.take([key("id", name)])[0]:
            return row._replace(recording_id=name)
    raise AssertionError  # counting has no end


def _container(row: Row, seen: Seen) -> Row:
    """The parts of one container share their prefix; another container of that name, or the same again, gets a mark."""
    inside = json.loads(row.extra or "{}")
    name = inside["prefix"]
    part = (name, row.uri, row.begin_byte, row.row_group)
    count = next(count for count in itertools.count(1) if seen.take([key("part", count, *part)])[0])
    first = seen.take([key("prefix", name)])[0]
    if first:
        seen.take([key("owner", name, row.uri)])
    if count == 1 and (first or seen.has(np.array([key("owner", name, row.uri)], np.uint64))[0]):
        return row
    mark = f"{key(row.uri):016x}"[:8] + (f".{count}" if count > 1 else "")
    return row._replace(extra=json.dumps(inside | {"prefix": f"{mark}/{name}"}))
