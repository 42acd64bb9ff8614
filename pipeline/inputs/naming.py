"""A name for every recording and every container, which no other has in this plan or in an earlier one.

The first of several keeps its name, and keeps it in later plans, whatever else has come by then. The others get a mark
made of where they lie, the same in every plan.
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from pipeline.inputs.earlier import ID, PREFIX, Earlier, boxes, states
from pipeline.inputs.rows import Row, key
from pipeline.inputs.seen import Seen

AT_ONCE = 4096


def named(rows: Iterator[tuple[str, Row]], before: Earlier | None = None) -> Iterator[tuple[str, Row]]:
    """Give every recording an id that no other has, and every container a prefix that no other has.

    None stands before a first plan.
    """
    seen = Seen()
    while batch := list(islice(rows, AT_ONCE)):
        recordings = [row for _, row in batch if row.recording_id is not None]
        names = [key(ID, row.recording_id) for row in recordings]
        given = [None] * len(recordings) if before is None else _given(recordings, before)
        own = [name for name, mark in zip(names, given, strict=True) if mark is None]
        fresh, marks = iter(seen.take(own)), iter(given)
        for form, row in batch:
            if row.recording_id is None:
                yield form, _container(row, seen, before)
            elif (mark := next(marks)) is None and next(fresh):
                yield form, row
            else:
                yield form, _marked(row, _place(row) if mark is None else mark, seen)


def _given(rows: Sequence[Row], before: Earlier) -> list[int | None]:
    """What marks each name by what earlier plans hold; None where it may be as it is, if that is free."""
    now = states(rows)
    own, others = before.claims(now)
    marks: list[int | None] = [None] * len(rows)
    doubtful = np.flatnonzero(~own).tolist()
    places = [_place(rows[at]) for at in doubtful]
    names = [key(ID, _name(rows[at], place)) for at, place in zip(doubtful, places, strict=True)]
    marked = before.lie(np.array(names, np.uint64), now.places[doubtful]).tolist()
    for at, place, was in zip(doubtful, places, marked, strict=True):
        row = rows[at]
        if was:
            marks[at] = place
        elif others[at]:
            marks[at] = key(row.recording_id, row.uri, row.begin, row.duration, row.channel)
    return marks


def _place(row: Row) -> int:
    return key(row.uri, row.begin, row.duration, row.channel, row.reference)


def _name(row: Row, mark: int) -> str:
    return f"{row.recording_id}~{mark:016x}"[:-8]


def _marked(row: Row, mark: int, seen: Seen) -> Row:
    for count in itertools.count(1):
        name = _name(row, mark) + (f".{count}" if count > 1 else "")
        if seen.take([key(ID, name)])[0]:
            return row._replace(recording_id=name)
    raise AssertionError  # counting has no end


def _container(row: Row, seen: Seen, before: Earlier | None) -> Row:
    """The parts of one container share their prefix; another container of that name, or the same again, gets a mark."""
    inside = json.loads(row.extra or "{}")
    name = inside["prefix"]
    part = (name, row.uri, row.begin_byte, row.row_group)
    count = next(count for count in itertools.count(1) if seen.take([key("part", count, *part)])[0])
    free = before is None or not before.claims(boxes([row]))[1][0]
    first = free and seen.take([key(PREFIX, name)])[0]
    if first:
        seen.take([key("owner", name, row.uri)])
    if count == 1 and (first or seen.has(np.array([key("owner", name, row.uri)], np.uint64))[0]):
        return row
    mark = f"{key(row.uri):016x}"[:8] + (f".{count}" if count > 1 else "")
    return row._replace(extra=json.dumps(inside | {"prefix": f"{mark}/{name}"}))
