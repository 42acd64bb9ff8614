"""The encoded bytes, as the seekable file that decoders read.

Decoders are C: an exception inside their read callback is printed and taken for the end of the file, which would make
a broken connection a short recording. So it is kept here, and raised by `check`, as the storage's failure that it is.
"""

import os
from typing import BinaryIO

from pipeline.stores.errors import StoreError, reading


class Source:
    """A file that never raises while a decoder reads it."""

    def __init__(self, file: BinaryIO, uri: str) -> None:
        self._file, self._uri = file, uri
        with reading(uri):
            self.size = file.seek(0, os.SEEK_END)
        self.exhausted = False
        """Whether a reader has asked for more than there was since `rewind`."""
        self._error: OSError | StoreError | None = None
        self.rewind()

    def rewind(self) -> None:
        """Go back to the first byte."""
        self._file.seek(0)
        self.exhausted = False

    def end_at(self, size: int) -> None:
        """Give nothing of what stands behind so many bytes."""
        self.size = min(size, self.size)

    def read(self, count: int = -1) -> bytes:
        """As a file does; nothing after an error."""
        if self._error is not None:
            return b""
        left = max(0, self.size - self._file.tell())
        try:
            content = self._file.read(left if count < 0 else min(count, left))
        except (OSError, StoreError) as error:
            self._error = error
            return b""
        self.exhausted |= len(content) < count
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As a file does; an impossible place leaves it where it is."""
        try:
            return self._file.seek(self.size + offset) if whence == os.SEEK_END else self._file.seek(offset, whence)
        except (OSError, ValueError):  # a damaged header sent the decoder there
            return self._file.tell()

    def tell(self) -> int:
        """As a file does."""
        return self._file.tell()

    def at(self, offset: int, count: int) -> bytes:
        """The bytes there, fewer at the end."""
        self.seek(min(offset, self.size))
        return self.read(count)

    @property
    def failed(self) -> bool:
        """Whether reading met something, behind which nothing more comes."""
        return self._error is not None

    def check(self) -> None:
        """Raise what reading met."""
        if self._error is not None:
            with reading(self._uri):
                raise self._error

    def close(self) -> None:
        """Close the file."""
        self._file.close()
