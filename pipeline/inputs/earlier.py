"""What earlier plans gave names to, and in which state each name was planned last.

Forty bytes for each name: those of millions are not held. What changed and changed back is not as it was planned last.
"""

import json
import re
from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.inputs import kaldi, lhotse
from pipeline.inputs.rows import Row, key
from pipeline.inputs.seen import Keys

Mask = npt.NDArray[np.bool_]
Form = tuple[str, Row]
"""A row after the form that it is of."""

ID, PREFIX, PART = "id", "prefix", "part"
"""What a name is of: a recording, a container, a part of a container."""
UNKNOWN, REFUSED = 0, 1
"""Versions: of what no listing told, and of what the plan itself refused."""
CALLED = (kaldi.FORM, lhotse.FORM)
"""Forms whose ids are the user's own words: several may lie in one place."""
MARKED = re.compile(r"~[0-9a-f]{8}(\.[0-9]+)?$")
MARKED_PREFIX = re.compile(r"[0-9a-f]{8}(\.[0-9]+)?/")
"""How names look that `naming` has marked."""


class States(NamedTuple):
    """What of some rows is held against other plans, eight bytes each."""

    names: Keys
    places: Keys
    """Of the objects that they lie in."""
    versions: Keys
    """Of their content, or one of the two above."""
    rest: Keys
    """Of what else the input tells: which part of the object, and what was said; 0 for nothing."""


def states(rows: Iterable[Row]) -> States:
    """Of recordings, and of parts of containers."""
    return _columns(map(_state, rows))


def boxes(rows: Iterable[Row]) -> States:
    """Of the containers among the rows, each as a whole."""
    whole = (row for row in rows if row.recording_id is None)
    return _columns((key(PREFIX, prefix(row)), key(row.uri), key(row.version), 0) for row in whole)


def prefix(row: Row) -> str:
    """How the ids of a container's recordings begin."""
    return str(json.loads(row.extra or "{}").get("prefix", ""))


class Earlier:
    """The plans before this one."""

    def __init__(self, plans: Iterable[Sequence[Row]]) -> None:
        """Take all their rows in, the oldest first."""
        columns = [array("Q", [0]) for _ in States._fields]  # never quite empty
        for rows in plans:
            for found in (states(rows), boxes(rows)):
                for column, values in zip(columns, found, strict=True):
                    column.frombytes(values.tobytes())
        self._newest = _last(columns)
        self._contents = np.sort(_contents(self._newest))

    def unchanged(self, rows: Sequence[Form]) -> Mask:
        """Which of the rows are planned already, as they are now.

        Where a name is new, so is the row; but a name that is only made of the place changes with the input's root.
        """
        now = states(row for _, row in rows)
        held, then = self._find(now.names)
        made, contents = np.array([_made(form, row) for form, row in rows], np.bool_), _contents(now)
        there = self._contents[_places(self._contents, contents)] == contents
        return np.where(held, _same(then, now), made & there)

    def holds(self, parts: Sequence[Form]) -> bool:
        """Whether a container is planned already, as it is now and in these parts."""
        now = boxes(row for _, row in parts)
        held, then = self._find(now.names)
        return bool(np.all(self.unchanged(parts)) and np.all(~held | _same(then, now)))

    def claims(self, now: States) -> tuple[Mask, Mask]:
        """Whether each name is this very row's, and whether it is another's.

        What a plan has refused has no place: its name is free for what is planned there once it is mended.
        """
        held, then = self._find(now.names)
        here = held & (then.places == now.places)
        refused = (then.versions == REFUSED) | (now.versions == REFUSED)
        return here & (then.rest == now.rest), held & ~here & ~refused

    def lie(self, names: Keys, places: Keys) -> Mask:
        """Whether each name is of something that lies there."""
        held, then = self._find(names)
        return held & (then.places == places)

    def _find(self, names: Keys) -> tuple[Mask, States]:
        """Which names are held, and the state that each was planned in last."""
        places = _places(self._newest.names, names)
        then = States(*(column[places] for column in self._newest))
        return then.names == names, then


def _places(ordered: Keys, asked: Keys) -> npt.NDArray[np.intp]:
    return np.searchsorted(ordered, asked).clip(max=len(ordered) - 1)


def _state(row: Row) -> tuple[int, int, int, int]:
    version = UNKNOWN if row.version is None else key(row.version, row.bytes)
    if row.recording_id is None:
        part = (row.begin_byte, row.end_byte, row.row_group)
        return key(PART, prefix(row), *part), key(row.uri), version, _rest(*part)
    told = _rest(row.begin, row.duration, row.channel, row.reference)
    return key(ID, row.recording_id), key(row.uri), REFUSED if row.error else version, told


def _rest(*parts: str | float | None) -> int:
    return 0 if all(part is None for part in parts) else key(*parts)


def _columns(found: Iterable[tuple[int, int, int, int]]) -> States:
    return States(*np.array(list(found), np.uint64).reshape(-1, len(States._fields)).T)


def _last(columns: list["array[int]"]) -> States:
    """Of each name the last state, sorted by name; the columns are used up."""
    order = np.argsort(np.frombuffer(columns[0], np.uint64), kind="stable")
    names = np.frombuffer(columns.pop(0), np.uint64)[order]
    last = np.append(names[1:] != names[:-1], True)
    order = order[last]
    return States(names[last], *(np.frombuffer(columns.pop(0), np.uint64)[order] for _ in States._fields[1:]))


def _same(then: States, now: States) -> Mask:
    """Whether two states agree; a version that one of them does not know says nothing."""
    unknown = (then.versions == UNKNOWN) | (now.versions == UNKNOWN)
    return (then.places == now.places) & (then.rest == now.rest) & (unknown | (then.versions == now.versions))


def _contents(found: States) -> Keys:
    """Eight bytes for the whole state, whatever it is called."""
    return found.places + np.uint64(3) * found.versions + np.uint64(5) * found.rest


def _made(form: str, row: Row) -> bool:
    """Whether the row's name is made of where it lies, and of nothing else."""
    if row.recording_id is None:
        return MARKED_PREFIX.match(prefix(row)) is None
    return form not in CALLED and row.error is None and MARKED.search(row.recording_id) is None
