"""Lines kept on the local disk, found again by their key or taken in the order of their keys.

Sixteen bytes of memory per line, however long it is: a manifest of millions is joined without being held.
"""

import os
import tempfile
from array import array
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt

GUESS = 512
"""Bytes that hold most lines."""
UNSIGNED = "Q"
"""Eight bytes in an `array`."""


class Spool:
    """Lines with a key of eight bytes each."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- it lives as long as the spool
        self._keys = array(UNSIGNED)
        self._offsets = array(UNSIGNED)
        self._size = 0

    def add(self, key: int, line: str) -> None:
        """Keep a line; its line break is ours."""
        self._keys.append(key)
        self._offsets.append(self._size)
        self._size += self._file.write(line.encode("utf-8", "surrogateescape") + b"\n")

    def find(self, key: int) -> Iterator[str]:
        """Yield the lines of a key, oldest first. No line is added after the first look."""
        keys, offsets = self._sorted
        for place in range(int(np.searchsorted(keys, np.uint64(key))), len(keys)):
            if keys[place] != key:
                return
            yield self._at(int(offsets[place]))

    def by_key(self) -> Iterator[str]:
        """Yield every line, those of one key together and oldest first."""
        for offset in self._sorted[1]:
            yield self._at(int(offset))

    @cached_property
    def _sorted(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        keys, offsets = np.array(self._keys, np.uint64), np.array(self._offsets, np.uint64)
        order = np.argsort(keys, kind="stable")
        self._file.flush()
        self._keys, self._offsets = array(UNSIGNED), array(UNSIGNED)
        return keys[order], offsets[order]

    def _at(self, offset: int) -> str:
        size = GUESS
        while b"\n" not in (read := os.pread(self._file.fileno(), size, offset)):
            size *= 4
        return read.partition(b"\n")[0].decode("utf-8", "surrogateescape")
