"""Files on a disk.

An output is written under a name that no reader looks at, made durable, and linked to its own: a link fails where the
name is taken, and a reader sees the whole file or none. Killed at any step, it leaves at most a temporary file.
"""

import contextlib
import errno
import fcntl
import io
import os
import shutil
import socket
import stat
import time
import uuid
from collections.abc import Iterator

from pipeline.stores import errors
from pipeline.stores.errors import StoreError
from pipeline.stores.place import Entry, Part

TEMPORARY = ".tmp"
LOCKED = 10.0
"""Seconds to wait for a lock; a dead process holds none, and a living one holds it for a moment."""
STALE = 3600.0
"""Seconds after which a temporary file of another machine is nobody's."""

WORDS = {
    errno.ENOENT: (errors.NOT_FOUND, "no such file"),
    errno.ENOTDIR: (errors.NOT_FOUND, "no such file: a part of the path is not a folder"),
    errno.ELOOP: (errors.NOT_FOUND, "no such file: a link that leads in a circle"),
    errno.EACCES: (errors.DENIED, "permission denied"),
    errno.EPERM: (errors.DENIED, "not permitted (a file system without hard links cannot hold an output)"),
    errno.EOPNOTSUPP: (errors.UNSUPPORTED, "this file system cannot do that (an output needs hard links)"),
    errno.EROFS: (errors.DENIED, "the file system is read-only"),
    errno.ENOSPC: (errors.FULL, "the disk is full"),
    errno.EDQUOT: (errors.FULL, "the quota of the disk is used up"),
    errno.EFBIG: (errors.FULL, "larger than a file may be here"),
    errno.ENAMETOOLONG: (errors.UNSUPPORTED, "the name is too long for this file system"),
    errno.EISDIR: (errors.UNSUPPORTED, "a folder, where a file is needed"),
    errno.ENXIO: (errors.UNSUPPORTED, "a pipe, a socket or a device, where a file is needed"),
    errno.ESTALE: (errors.BROKEN, "the network file system lost the file: try again"),
}
NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""What a link ends with that leads to nothing."""


class Disk:
    """A `Place` of plain paths."""

    swaps = True

    def walk(self, path: str) -> Iterator[Entry]:
        if os.path.isdir(path):
            yield from self.below(path.rstrip("/") + "/", None)
        elif os.path.exists(path):
            yield self.head(path)

    def below(self, stem: str, levels: int | None) -> Iterator[Entry]:
        folder, start = os.path.split(stem)
        if os.path.isdir(folder):
            state = os.stat(folder)
            yield from scan(folder, start, levels, ((state.st_dev, state.st_ino),))

    def head(self, path: str) -> Entry:
        with words(path):
            return described(path, os.stat(path))

    def open(self, path: str) -> io.BufferedReader:
        """A whole file, as the system reads it."""
        with words(path):
            return opened(path)

    def part(self, path: str, begin: int, end: int | None, version: str | None) -> Part:
        with words(path), opened(path) as file:
            state = os.fstat(file.fileno())
            file.seek(begin)
            payload = file.read(-1 if end is None else max(0, end - begin))
        found = content_version(state)
        if version is not None and found != version:
            raise StoreError(errors.CHANGED, f"{path} changed while it was read")
        return Part(payload, state.st_size, found)

    def create(self, path: str, payload: bytes) -> bool:
        with words(path):
            if os.path.lexists(path):
                return False
            make_folder(os.path.dirname(path))
            return self._publish_only(path, payload)

    def replace(self, path: str, payload: bytes, version: str) -> str | None:
        temporary = temporary_name(path)
        with words(path):
            if not os.path.exists(path):
                return None
            try:
                write_temporary(temporary, payload)
                made = content_version(os.stat(temporary))
                with locked(path):
                    if not os.path.exists(path) or content_version(os.stat(path)) != version:
                        return None
                    os.replace(temporary, path)
                sync_folder(os.path.dirname(path))
            finally:
                forget(temporary)
        return made

    def put(self, path: str, payload: bytes) -> None:
        with words(path):
            make_folder(os.path.dirname(path))
            self._publish_over(path, payload)

    def deposit(self, path: str, source: str) -> None:
        temporary = temporary_name(path)
        with words(path):
            make_folder(os.path.dirname(path))
            try:
                shutil.copyfile(source, temporary)
                os.replace(temporary, path)
                sync_folder(os.path.dirname(path))
            finally:
                forget(temporary)

    def delete(self, path: str) -> None:
        with words(path), contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def sweep(self, path: str) -> int:
        left = [file.uri for file in self.walk(path) if is_temporary(file.uri) and is_stale(file.uri)]
        for file in left:
            self.delete(file)
        return len(left)

    def _publish_only(self, path: str, payload: bytes) -> bool:
        temporary = temporary_name(path)
        try:
            write_temporary(temporary, payload)
            link(temporary, path)
            sync_folder(os.path.dirname(path))
        except FileExistsError:
            return os.stat(temporary).st_nlink == 2  # a network file system may repeat a link that it made
        finally:
            forget(temporary)
        return True

    def _publish_over(self, path: str, payload: bytes) -> None:
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe or a device is written to, never replaced
            with open(path, "wb") as file:
                file.write(payload)
            return
        temporary = temporary_name(path)
        try:
            write_temporary(temporary, payload)
            os.replace(temporary, path)
            sync_folder(os.path.dirname(path))
        finally:
            forget(temporary)


def opened(path: str) -> io.BufferedReader:
    """A file to read. A pipe is refused, for which one may wait for ever, and a device, which has no end."""
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
    return file


def make_folder(folder: str) -> None:
    """Make a folder and its parents, each durable in its own parent."""
    if os.path.isdir(folder):
        return
    make_folder(os.path.dirname(folder))
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)
    sync_folder(os.path.dirname(folder))


def write_temporary(temporary: str, payload: bytes) -> None:
    """Write the whole payload, and return when the disk has it."""
    with open(temporary, "xb", buffering=0) as file:
        rest = memoryview(payload)
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())


def link(temporary: str, path: str) -> None:
    """Give the file its own name: the moment at which it exists."""
    os.link(temporary, path)


def sync_folder(folder: str) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def forget(temporary: str) -> None:
    """Remove the temporary name."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)


def temporary_name(path: str) -> str:
    """A name beside `path` that no reader looks at, and that says who wrote it."""
    folder = os.path.dirname(path)
    return os.path.join(folder, f".{uuid.uuid4().hex[:16]}@{os.getpid()}@{here()}{TEMPORARY}")


def here() -> str:
    """Where a process's number means something: machines and containers that share a name number theirs apart."""
    with contextlib.suppress(OSError), open("/proc/sys/kernel/random/boot_id") as boot:
        return f"{socket.gethostname()}-{boot.read(8)}-{os.stat('/proc/self/ns/pid').st_ino}"
    return socket.gethostname()


def is_temporary(path: str) -> bool:
    """Whether this is a temporary file of ours."""
    name = os.path.basename(path)
    return name.startswith(".") and name.endswith(TEMPORARY) and name.count("@") == 2


def is_stale(path: str) -> bool:
    """Whether the writer of a temporary file is gone."""
    _, process, place = os.path.basename(path).removesuffix(TEMPORARY).split("@")
    if place == here() and process.isdigit() and not os.path.exists(f"/proc/{process}"):
        return True
    with contextlib.suppress(FileNotFoundError):
        return time.time() - os.stat(path).st_mtime > STALE
    return False


def scan(folder: str, start: str, levels: int | None, above: tuple[tuple[int, int], ...]) -> Iterator[Entry]:
    """The files below a folder whose name begins with `start`; links are followed, but never in a circle."""
    with words(folder), os.scandir(folder) as listing:
        found = sorted((placed(item) for item in listing if item.name.startswith(start)), key=lambda each: each[0])
    for _, is_folder, item in found:
        if not is_folder:
            with contextlib.suppress(FileNotFoundError):  # gone since
                yield described(item.path, _state(item))
        elif levels is None or levels > 0:
            state = item.stat()
            here = (state.st_dev, state.st_ino)
            if here not in above:
                yield from scan(item.path, "", None if levels is None else levels - 1, (*above, here))


def placed(item: "os.DirEntry[str]") -> tuple[bytes, bool, "os.DirEntry[str]"]:
    """Its place in the order of whole paths, and whether it is a folder: that sorts as its name and a slash."""
    is_folder = _is_folder(item)
    return os.fsencode(item.name + "/" if is_folder else item.name), is_folder, item


def _is_folder(item: "os.DirEntry[str]") -> bool:
    """Also by a link."""
    try:
        return item.is_dir()
    except OSError as error:
        if error.errno not in NOWHERE:
            raise
        return False


def _state(item: "os.DirEntry[str]") -> os.stat_result:
    """Of what a link leads to; of the link itself where that is nothing, so that who reads it says so."""
    try:
        return item.stat()
    except OSError as error:
        if error.errno not in NOWHERE:
            raise
        return item.stat(follow_symlinks=False)


def described(path: str, state: os.stat_result) -> Entry:
    """A file's entry."""
    return Entry(path, state.st_size, f"{state.st_mtime_ns:x}")


def content_version(state: os.stat_result) -> str:
    """Differs for every file that stood at a path, however quickly one followed the other."""
    return f"{state.st_mtime_ns:x}-{state.st_ino:x}"


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold the one lock of a file that several processes replace."""
    name = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.lock")
    handle = lock(name)
    try:
        yield
    finally:
        forget(name)
        os.close(handle)


def lock(name: str) -> int:
    """Lock a file of that name: the one that stands there now, not one that its last holder has removed."""
    until = time.monotonic() + LOCKED
    while time.monotonic() < until:
        handle = os.open(name, os.O_RDWR | os.O_CREAT, 0o666)
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.stat(name).st_ino == os.fstat(handle).st_ino:
                return handle
        os.close(handle)
        time.sleep(0.005)
    raise StoreError(errors.BROKEN, f"{name} is locked by a process that does not go on: is one stopped?")


@contextlib.contextmanager
def words(path: str) -> Iterator[None]:
    """Say in words what the operating system says in numbers."""
    try:
        yield
    except OSError as error:
        kind, meaning = WORDS.get(error.errno or 0, (errors.BROKEN, error.strerror or type(error).__name__))
        raise StoreError(kind, f"{path}: {meaning}") from None
