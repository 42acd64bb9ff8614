"""A file that is read in ranges, with the next range fetched while this one is used.

The window grows only while reading goes straight on, so that a look at a header or a footer stays cheap.
"""

import io
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

from pipeline.stores.errors import CHANGED, TRUNCATED, StoreError
from pipeline.stores.place import Part, Place

FIRST_WINDOW, LARGEST_WINDOW = 256 << 10, 8 << 20
BUFFER = 64 << 10
FETCHERS = 32
"""Threads that read ahead, for all files of a process."""


class Ranged(io.RawIOBase):
    """Bytes `begin` to `end` of an object, as a seekable file."""

    def __init__(self, place: Place, path: str, begin: int, end: int | None) -> None:
        super().__init__()
        self._place, self._path = place, path
        self._begin, self._end = begin, end
        self._version: str | None = None
        self._position = begin
        self._block, self._at = b"", begin
        self._window = FIRST_WINDOW
        self._ahead: tuple[int, Future[Part]] | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position - self._begin

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        origins: dict[int, Callable[[], int]] = {
            os.SEEK_SET: lambda: self._begin,
            os.SEEK_CUR: lambda: self._position,
            os.SEEK_END: self._known_end,
        }
        target = origins[whence]() + offset
        if target < self._begin:
            raise OSError(22, "a file has no bytes before its first")
        self._position = target
        return self.tell()

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        offset = self._position - self._at
        if not 0 <= offset < len(self._block):
            self._load()
            offset = self._position - self._at
        piece = self._block[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        self._block, self._ahead = b"", None
        super().close()

    def _load(self) -> None:
        """Make the block that holds the position the current one; an empty one at the end."""
        straight_on = bool(self._block) and self._position == self._at + len(self._block)
        self._window = min(2 * self._window, LARGEST_WINDOW) if straight_on else FIRST_WINDOW
        part = self._take(self._position)
        self._block, self._at = part.payload, self._position
        following = self._at + len(self._block)
        if straight_on and following < self._known_end():
            self._ahead = (following, fetchers().submit(self._fetch, following, 2 * self._window))

    def _take(self, at: int) -> Part:
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == at:
            return ahead[1].result()
        return self._fetch(at, self._window)

    def _fetch(self, at: int, window: int) -> Part:
        limit = at + min(window, LARGEST_WINDOW)
        end = limit if self._end is None else min(limit, self._end)
        if end <= at:
            return Part(b"", at, self._version or "")
        part = self._place.part(self._path, at, end, self._version)
        self._settle(part)
        return part

    def _known_end(self) -> int:
        if self._end is None:
            entry = self._place.head(self._path)
            self._end = entry.size
        return self._end

    def _settle(self, part: Part) -> None:
        """Hold on to the first answer's size and version: a file does not change while it is read."""
        if self._version is not None and part.version != self._version:
            raise StoreError(CHANGED, f"{self._path} changed while it was read")
        if self._end is not None and part.total < self._end:
            raise StoreError(TRUNCATED, f"{self._path} ends at byte {part.total}, {self._end} were promised")
        self._version = part.version
        self._end = part.total if self._end is None else self._end


def buffered(place: Place, path: str, begin: int, end: int | None) -> io.BufferedReader:
    """A range of an object as the file that decoders expect."""
    return io.BufferedReader(Ranged(place, path, begin, end), BUFFER)


@cache
def fetchers() -> ThreadPoolExecutor:
    """The threads that read ahead."""
    return ThreadPoolExecutor(FETCHERS, thread_name_prefix="read-ahead")


os.register_at_fork(after_in_child=fetchers.cache_clear)
