"""Whatever else fsspec opens: Google's and Azure's stores by their packages, and memory for tests.

A create is the package's own exclusive write. A replacement compares and then writes, which a second writer can come
between: `Probe` says so. What a package calls existing or a folder is not asked: it says no, too, where it was not let
in, and a table that could not be listed would pass for an empty one.
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache

import fsspec

from pipeline.ahead import in_order
from pipeline.stores import errors
from pipeline.stores.errors import StoreError
from pipeline.stores.other_words import raised, refused, said
from pipeline.stores.place import Entry, Part

PACKAGES = {"gs": "gs", "gcs": "gs", "az": "azure", "abfs": "azure", "adl": "azure"}
"""The extra of ours that brings each one."""
VERSIONS = ("etag", "ETag", "mtime", "updated", "last_modified", "LastModified", "created")
MEMORY = "memory"
AHEAD = 8
"""Folders of one folder that are listed side by side: what they hold waits in memory for its turn."""
WITHIN = threading.Lock()
"""One writer at a time within a process: memory has no other guard."""

Info = Mapping[str, object]
"""What a file system says of one thing."""
Listed = tuple[str, Entry | None]
"""The path of a folder, or of an object with what is known of it."""


class Other:
    """A `Place` of an fsspec file system."""

    def __init__(self, scheme: str) -> None:
        self._scheme, self.swaps = scheme, scheme == MEMORY
        file_system(scheme)

    @property
    def _system(self) -> fsspec.AbstractFileSystem:
        return file_system(self._scheme)

    def walk(self, path: str) -> Iterator[Entry]:
        found = self._look(path)
        if found is not None and not _is_folder(found):
            yield self._entry(found)
        elif found is not None:
            yield from self.below(path.rstrip("/") + "/", None)

    def below(self, stem: str, levels: int | None) -> Iterator[Entry]:
        folder, _, start = stem.rpartition("/")
        found = self._look(folder)
        if found is not None and _is_folder(found):
            yield from self._inside(self._listing(folder), start, levels)

    def _inside(self, listing: Sequence[Listed], start: str, levels: int | None) -> Iterator[Entry]:
        """What a listing names, and what lies below: some folders are listed ahead, side by side."""
        deeper = levels is None or levels > 0
        here = [(path, entry) for path, entry in listing if path.rpartition("/")[2].startswith(start)]
        folders = (path for path, entry in here if deeper and entry is None)
        listings = in_order(self._listing, folders, weight=lambda _: 1, budget=AHEAD, threads=AHEAD)
        for _, entry in here:
            if entry is not None:
                yield entry
            elif deeper:
                yield from self._inside(next(listings), "", None if levels is None else levels - 1)

    def _listing(self, folder: str) -> Sequence[Listed]:
        with self._words("list", folder):
            try:
                found = sorted(self._system.ls(folder, detail=True), key=placed)
            except FileNotFoundError:  # gone since
                return []
        return [(str(info["name"]).rstrip("/"), None if _is_folder(info) else self._entry(info)) for info in found]

    def head(self, path: str) -> Entry:
        with self._words("read", path):
            return self._entry(self._system.info(path))

    def part(self, path: str, begin: int, end: int | None, version: str | None) -> Part:
        found = self.head(path)
        if version is not None and found.version != version:
            raise StoreError(errors.CHANGED, f"{self._scheme}://{path} changed while it was read")
        stop = found.size if end is None else min(end, found.size)
        if stop <= begin:
            return Part(b"", found.size, found.version)
        with self._words("read", path):
            payload: bytes = self._system.cat_file(path, start=begin, end=stop)
        if len(payload) != stop - begin:
            raise StoreError(errors.TRUNCATED, f"{self._scheme}://{path}: {len(payload)} of {stop - begin} bytes came")
        return Part(payload, found.size, found.version)

    def create(self, path: str, payload: bytes) -> bool:
        with WITHIN, self._words("write", path):
            self._make_folder(path)
            try:
                self._system.pipe_file(path, payload, mode="create")
            except FileExistsError:
                return False
        return True

    def replace(self, path: str, payload: bytes, version: str) -> str | None:
        with WITHIN, self._words("write", path):
            found = self._look(path)
            if found is None or self._entry(found).version != version:
                return None
            self._system.pipe_file(path, payload)
            return self.head(path).version

    def put(self, path: str, payload: bytes) -> None:
        with WITHIN, self._words("write", path):
            self._make_folder(path)
            self._system.pipe_file(path, payload)

    def deposit(self, path: str, source: str) -> None:
        with WITHIN, self._words("write", path):
            self._make_folder(path)
            self._system.put_file(source, path)

    def delete(self, path: str) -> None:
        with self._words("delete", path), suppress(FileNotFoundError):
            self._system.rm_file(path)

    def sweep(self, path: str) -> int:
        return 0

    def _make_folder(self, path: str) -> None:
        """Where folders are real; elsewhere it would make the bucket of a name that was mistyped."""
        if self._scheme == MEMORY:
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)

    def _look(self, path: str) -> Info | None:
        """What is there; None where nothing is."""
        with self._words("read", path):
            try:
                found: Info = self._system.info(path)
            except FileNotFoundError:
                return None
        return found

    def _entry(self, info: Info) -> Entry:
        version = next((str(info[name]) for name in VERSIONS if info.get(name)), "")
        return Entry(str(info["name"]), int(str(info["size"] or 0)), version.strip('"'))

    @contextmanager
    def _words(self, verb: str, path: str) -> Iterator[None]:
        uri = f"{self._scheme}://{path}"
        try:
            yield
        except raised() as error:
            raise said(error, verb, uri, PACKAGES.get(self._scheme, self._scheme)) from None


def placed(info: Info) -> bytes:
    """Its place in the order of whole paths: a folder sorts as its name and a slash."""
    return (str(info["name"]).rstrip("/").rpartition("/")[2] + ("/" if _is_folder(info) else "")).encode()


def _is_folder(info: Info) -> bool:
    return info["type"] == "directory"


@cache
def file_system(scheme: str) -> fsspec.AbstractFileSystem:
    """One per process, from the ambient credentials."""
    extra = PACKAGES.get(scheme, scheme)
    try:
        return fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError:
        message = f"{scheme}:// needs a package that is not there: pip install -e '.[{extra}]' in the project's folder"
        raise StoreError(errors.UNSUPPORTED, message) from None
    except raised() as error:
        raise refused(error, f"{scheme}://", extra) from None


os.register_at_fork(after_in_child=file_system.cache_clear)
