"""What every kind of storage can do.

A path here is the store's own: a file's path on a disk, `bucket/key` elsewhere. `create` is the one that matters: an
object appears whole or not at all, and only one of many writers is told that it made it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Entry:
    """One object or file."""

    uri: str
    """Where it is; what `open_input` takes. A name under the store's root where a store lists its own."""
    size: int
    """Bytes."""
    version: str
    """Changes when it is written again: an etag, or the time of its last change."""


@dataclass(frozen=True)
class Part:
    """A run of an object's bytes."""

    payload: bytes
    total: int
    """Bytes of the whole object."""
    version: str
    """Of the content: what `replace` and a later `part` are held against."""


class Place(Protocol):
    """One kind of storage."""

    swaps: bool
    """Whether `replace` compares and writes in one step, so that nothing comes between."""

    def walk(self, path: str) -> Iterator[Entry]:
        """List the object itself, or everything below, in the order of the names' bytes; nothing where nothing is.

        The entries' `uri` is a path of this place.
        """

    def below(self, stem: str, levels: int | None) -> Iterator[Entry]:
        """List every object whose path begins with `stem`, at most so many slashes deeper, in order."""

    def head(self, path: str) -> Entry:
        """Size and version, or `StoreError` NotFound."""

    def part(self, path: str, begin: int, end: int | None, version: str | None) -> Part:
        """Read bytes; fewer where the object ends before. With a version, only of that version, else Changed."""

    def create(self, path: str, payload: bytes) -> bool:
        """Write an object that is not there yet. False: it was there already, and stays as it was."""

    def replace(self, path: str, payload: bytes, version: str) -> str | None:
        """Overwrite the version that was read, and return the new one; None where another stands there now."""

    def put(self, path: str, payload: bytes) -> None:
        """Write or overwrite, whole or not at all."""

    def deposit(self, path: str, source: str) -> None:
        """Copy a file of this machine there, whole or not at all, over what stands; it need not fit into memory."""

    def delete(self, path: str) -> None:
        """Remove it; content where it is gone already."""

    def sweep(self, path: str) -> int:
        """Remove what a killed writer left half-written below `path`; how many."""
