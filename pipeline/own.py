"""Which part of what was heard a piece answers for: no frame of a recording is lost, and none counts twice."""

from collections.abc import Mapping

BEYOND = 1 << 60
"""Samples beyond any recording: the first piece's frames may begin before it, the last one's end after it."""


def place(owner: Mapping[str, object]) -> tuple[int, int]:
    """Where a segment begins in its recording, and how long it is, in samples."""
    return int(str(owner["start"])), int(str(owner["samples"]))


def core(owner: Mapping[str, object]) -> tuple[int, int]:
    """The samples that a segment answers for, without bounds at the recording's ends."""
    begin = -BEYOND if owner["index"] == 0 else int(str(owner["core_begin"]))
    return begin, BEYOND if owner["last"] else int(str(owner["core_end"]))
