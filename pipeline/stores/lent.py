"""Files of one process's memory as the processes that it starts see them: copies, in a folder that they are told of."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.stores import errors
from pipeline.stores.disk import Disk
from pipeline.stores.errors import StoreError
from pipeline.stores.other import MEMORY
from pipeline.stores.place import Entry, Part


class Lent:
    """A `Place` to read from: what is lent, nobody writes to."""

    swaps = False

    def __init__(self, folder: str) -> None:
        self._folder, self._disk = folder, Disk()

    def walk(self, path: str) -> Iterator[Entry]:
        with self._words(path):
            yield from map(self._named, self._disk.walk(self._copy(path)))

    def below(self, stem: str, levels: int | None) -> Iterator[Entry]:
        with self._words(stem):
            yield from map(self._named, self._disk.below(self._copy(stem), levels))

    def head(self, path: str) -> Entry:
        with self._words(path):
            return self._named(self._disk.head(self._copy(path)))

    def part(self, path: str, begin: int, end: int | None, version: str | None) -> Part:
        with self._words(path):
            return self._disk.part(self._copy(path), begin, end, version)

    def create(self, path: str, payload: bytes) -> bool:
        raise kept(path)

    def replace(self, path: str, payload: bytes, version: str) -> str | None:
        raise kept(path)

    def put(self, path: str, payload: bytes) -> None:
        raise kept(path)

    def deposit(self, path: str, source: str) -> None:
        raise kept(path)

    def delete(self, path: str) -> None:
        raise kept(path)

    def sweep(self, path: str) -> int:
        return 0

    def _copy(self, path: str) -> str:
        if ".." in path.split("/"):
            raise StoreError(errors.DENIED, f"{path} would leave the memory that was lent")
        return self._folder + path

    def _named(self, entry: Entry) -> Entry:
        return Entry(entry.uri.removeprefix(self._folder), entry.size, entry.version)

    @contextmanager
    def _words(self, path: str) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            raise StoreError(error.kind, str(error).replace(self._folder + path, f"{MEMORY}:/{path}")) from None


def kept(path: str) -> StoreError:
    """That nothing is written there."""
    return StoreError(errors.DENIED, f"{MEMORY}:/{path} is lent to be read, not to be written")
