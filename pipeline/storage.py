"""Where everything is read from and written to: disks and buckets behind one door.

An output is written in one way only: created whole where nothing stands, so that a file that exists is finished work.
File systems are made in each process from the credentials it finds there; nothing here holds one, so nothing that is
pickled, logged or stored can carry a secret.
"""

import io
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote_from_bytes, unquote_to_bytes
from uuid import uuid4

from fsspec.utils import glob_translate

from pipeline.stores import errors
from pipeline.stores.disk import Disk
from pipeline.stores.errors import StoreError, scrub
from pipeline.stores.lent import Lent
from pipeline.stores.other import MEMORY, Other
from pipeline.stores.place import Entry, Part, Place
from pipeline.stores.s3 import Bucket
from pipeline.stores.stream import buffered

__all__ = ["Entry", "Part", "Probe", "Store", "StoreError", "list_entries", "open_input", "read_bytes", "scrub"]

DISK, S3, OTHER = ("", "file", "local"), ("s3", "s3a"), ("gs", "gcs", "az", "abfs", "adl", MEMORY)
SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]*(?:::[A-Za-z0-9+.\-]+)*)://")
MAGIC = re.compile(r"[*?\[]")
RACERS = 8
LENT = "STENOPOOL_MEMORY"
"""The variable that tells workers in which folder the files of their driver's memory lie."""


def list_entries(url: str) -> Iterator[Entry]:
    """List an object, everything below a folder or a prefix, or what a pattern of `*`, `**`, `?` and `[...]` matches.

    In the order of the names' bytes, as a stream. A name that exists as it is spelt is no pattern.
    """
    scheme, path = parse(url)
    place = open_place(scheme)
    found = False
    for entry in _listed(place, path):
        found = True
        yield Entry(uri(scheme, entry.uri), entry.size, entry.version)
    if not found and not (scheme in DISK and os.path.isdir(path)):
        raise StoreError(errors.NOT_FOUND, f"{url}: there is nothing there")


def open_input(url: str, begin: int = 0, end: int | None = None) -> io.BufferedReader:
    """Open a file, or bytes `begin` to `end` of it, to read and seek in; the next range is fetched ahead."""
    scheme, path = parse(url)
    if scheme in DISK and begin == 0 and end is None:
        return Disk().open(path)
    return buffered(open_place(scheme), path, begin, end)


def read_bytes(url: str, begin: int = 0, end: int | None = None) -> bytes:
    """Read a file, or bytes `begin` to `end` of it; fewer than that is `StoreError` Truncated."""
    scheme, path = parse(url)
    payload = open_place(scheme).part(path, begin, end, None).payload
    if end is not None and len(payload) < end - begin:
        raise StoreError(errors.TRUNCATED, f"{url} ends at byte {begin + len(payload)}, {end} were promised")
    return payload


@dataclass(frozen=True)
class Probe:
    """What a store turned out to do."""

    exclusive: bool
    """A create is refused where something stands, also when several are sent at once."""
    conditional: bool
    """A replacement is refused where another version stands."""

    @property
    def words(self) -> str:
        """What that means for a run."""
        if self.exclusive and self.conditional:
            return "the store creates and replaces conditionally: no two runs can write the same file"
        lacking = "does not refuse to create what exists" if not self.exclusive else "does not replace conditionally"
        return f"the store {lacking}: only the lease, on its best effort, keeps two runs apart; start one at a time"


@dataclass(frozen=True)
class Store:
    """The folder of an output. It is its address and nothing else, so it travels to any process."""

    url: str
    """A path, or an address with one of the known schemes."""

    def __post_init__(self) -> None:
        parse(self.url)

    def names(self, prefix: str = "") -> Iterator[Entry]:
        """List what stands below a folder of the store: `uri` is then a name here. Hidden files are left out."""
        root = self._path("") + "/"
        for entry in self._place.walk(self._path(prefix)):
            name = entry.uri.removeprefix(root)
            if not any(part.startswith(".") for part in name.split("/")):
                yield Entry(name, entry.size, entry.version)

    def read(self, name: str) -> bytes:
        """The whole of one file."""
        return self.look(name).payload

    def look(self, name: str, begin: int = 0, end: int | None = None) -> Part:
        """Bytes of a file, its size, and the version that `replace` wants."""
        return self._place.part(self._path(name), begin, end, None)

    def open(self, name: str) -> io.BufferedReader:
        """A file of the store, to seek in."""
        return buffered(self._place, self._path(name), 0, None)

    def create(self, name: str, payload: bytes) -> bool:
        """Write what is not there yet, whole or not at all. False: it exists, and stays as it is."""
        return self._place.create(self._path(name), payload)

    def replace(self, name: str, payload: bytes, version: str) -> str | None:
        """Overwrite the version that was seen, and return the new one; None where another stands there now."""
        return self._place.replace(self._path(name), payload, version)

    def put(self, name: str, payload: bytes) -> None:
        """Write or overwrite, whole or not at all: for a file that one process owns."""
        self._place.put(self._path(name), payload)

    def deposit(self, name: str, source: str) -> None:
        """Write or overwrite with a file of this machine, whole or not at all; it is never held in memory."""
        self._place.deposit(self._path(name), source)

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        self._place.delete(self._path(name))

    def probe(self) -> Probe:
        """Try what a run will need; `StoreError` says what is in the way. Sweeps up after killed writers.

        The right to delete is not among it: without that right, what was tried stays behind, hidden.
        """
        self._place.sweep(self._path(""))
        name = f".probe/{uuid4().hex}"
        try:
            found = Probe(exclusive=self._creates_once(name), conditional=self._replaces_what_was_seen(name))
        except StoreError as error:  # it is the folder that a person knows
            raise StoreError(error.kind, str(error).replace(f"/{name}", "")) from error
        try:
            self.delete(name)
        except StoreError as error:
            if error.kind != errors.DENIED:
                raise
        return found

    def _creates_once(self, name: str) -> bool:
        with ThreadPoolExecutor(RACERS) as pool:
            made = list(pool.map(lambda number: self.create(name, f"writer {number}".encode()), range(RACERS)))
        return made.count(True) == 1 and not self.create(name, b"too late")

    def _replaces_what_was_seen(self, name: str) -> bool:
        if not self._place.swaps:
            return False
        seen = self.look(name).version
        following = self.replace(name, b"second", seen)
        return following is not None and following != seen and self.replace(name, b"third", seen) is None

    @property
    def _place(self) -> Place:
        return open_place(parse(self.url)[0])

    def _path(self, name: str) -> str:
        if name.startswith("/") or ".." in name.split("/") or "\0" in name:
            raise StoreError(errors.DENIED, f"{name!r} would leave {self.url}")
        return f"{parse(self.url)[1].rstrip('/')}/{name}".rstrip("/")


def parse(url: str) -> tuple[str, str]:
    """Scheme and path; `StoreError` where the scheme is not on the list, or the address holds a password."""
    match = SCHEME.match(url)
    if match is None:
        return "", os.path.abspath(os.path.expanduser(url))
    scheme, rest = match[1].lower(), url[match.end() :]
    if scheme not in (*DISK, *S3, *OTHER):
        known = ", ".join(sorted({*DISK, *S3, *OTHER} - {""}))
        raise StoreError(errors.UNSUPPORTED, f"{url}: {scheme}:// is not opened; a path or one of {known} is")
    if scheme in DISK:
        return "", from_file_uri(rest)
    if ":" in rest.partition("@")[0] and "@" in rest.partition("/")[0]:
        raise StoreError(
            errors.UNSUPPORTED, f"{url}: credentials do not belong in an address; put them in the environment"
        )
    if not rest.strip("/"):
        raise StoreError(errors.UNSUPPORTED, f"{url}: no bucket is named")
    return scheme, rest.lstrip("/") if scheme != MEMORY else "/" + rest.lstrip("/")


def from_file_uri(rest: str) -> str:
    """The path of a `file://` address, percent-encoded or not."""
    path = os.path.abspath(rest if rest.startswith("/") else "/" + rest)
    return path if os.path.lexists(path) else os.fsdecode(unquote_to_bytes(path))


def uri(scheme: str, path: str) -> str:
    """How a path is written down: readable, and always valid text, whatever bytes a file's name holds."""
    if scheme:
        return f"{scheme}://{path.removeprefix('/') if scheme == MEMORY else path}"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "file://" + quote_from_bytes(os.fsencode(path))
    return path


@cache
def open_place(scheme: str) -> Place:
    """The kind of storage of a scheme."""
    if scheme in DISK:
        return Disk()
    if scheme == MEMORY and (folder := os.environ.get(LENT)):
        return Lent(folder)
    return Bucket() if scheme in S3 else Other(scheme)


def _listed(place: Place, path: str) -> Iterator[Entry]:
    """What a path or a pattern names."""
    magic = MAGIC.search(path)
    if magic is None or any(True for _ in place.walk(path)):
        yield from place.walk(path)
        return
    try:
        matches = re.compile(glob_translate(path)).match
    except ValueError as error:
        raise StoreError(errors.UNSUPPORTED, f"{path}: {error}") from None
    stem = path[: magic.start()]
    levels = None if "**" in path else path.count("/", len(stem))
    for entry in place.below(stem, levels):
        if matches(entry.uri):
            yield entry
