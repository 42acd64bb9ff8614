"""Objects of an S3 store, through s3fs, with the credentials that the machine has.

A create whose answer is lost and that is sent again is refused by its own first attempt. The clients are told not to
retry, but the one below them resends a PUT by itself when a kept connection breaks; so every write carries a mark of
its own, and a refusal is held against it.
"""

import base64
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TypeVar, cast
from uuid import uuid4

import s3fs
from aiohttp import ClientError as WireError
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
from fsspec.asyn import sync

from pipeline.stores import errors
from pipeline.stores.errors import StoreError
from pipeline.stores.place import Entry, Part
from pipeline.stores.retry import Patience, TransientError, patiently
from pipeline.stores.s3_listing import in_order
from pipeline.stores.s3_quick import quick
from pipeline.stores.s3_words import explain, is_transient, read_answer

T = TypeVar("T")
Reply = dict[str, object]

PATIENCE = Patience()
CONNECTIONS = 64
CONFIG = {
    "connect_timeout": 5,
    "read_timeout": 60,
    "max_pool_connections": CONNECTIONS,
    "retries": {"total_max_attempts": 1, "mode": "standard"},
    "request_checksum_calculation": "when_required",  # old servers refuse trailing checksums: a PUT carries its MD5
    "response_checksum_validation": "when_required",
}
HEADERS = {"IfMatch": "If-Match"}
"""Options that HTTP spells differently."""
LARGEST_PUT = 5 << 30
"""Bytes of one PUT; several parts are never used, since servers do not hold their completion to a condition."""


MARK = "stenopool-write"
"""The name, in an object's metadata, of the call that wrote it."""


class Bucket:
    """A `Place` of `bucket/key` paths."""

    swaps = True

    def __init__(self, patience: Patience = PATIENCE) -> None:
        self._patience = patience

    def walk(self, path: str) -> Iterator[Entry]:
        itself = self._found(path) if split(path)[1] and not path.endswith("/") else None
        if itself is not None:
            yield described(path, itself)
        else:
            yield from self.below(path.rstrip("/") + "/", None)

    def below(self, stem: str, levels: int | None) -> Iterator[Entry]:
        bucket, prefix = split(stem)
        for entry in in_order(lambda **options: self._page(bucket, prefix, options), prefix):
            deeper = entry.uri.count("/", len(prefix))
            if not entry.uri.endswith("/") and (levels is None or deeper <= levels):
                yield Entry(f"{bucket}/{entry.uri}", entry.size, entry.version)

    def head(self, path: str) -> Entry:
        return described(path, self._ask("read", path, lambda: call("head_object", path)))

    def part(self, path: str, begin: int, end: int | None, version: str | None) -> Part:
        options = {} if version is None else {"IfMatch": f'"{version}"'}
        if begin or end is not None:
            if end is not None and end <= begin:
                entry = self.head(path)
                return Part(b"", entry.size, entry.version)
            options["Range"] = f"bytes={begin}-{'' if end is None else end - 1}"
        at_once = quick(path, {HEADERS.get(name, name): value for name, value in options.items()})
        if at_once is not None:
            return at_once
        try:
            return self._ask("read", path, lambda: fetch(path, options))
        except PastTheEndError:
            entry = self.head(path)
            return Part(b"", entry.size, entry.version)

    def create(self, path: str, payload: bytes) -> bool:
        mark = uuid4().hex

        def once() -> bool:
            return (
                self._write(path, payload, {"IfNoneMatch": "*"}, mark) is not None
                or self._wrote(path, mark) is not None
            )

        return patiently(once, self._patience)

    def replace(self, path: str, payload: bytes, version: str) -> str | None:
        mark = uuid4().hex

        def once() -> str | None:
            written = self._write(path, payload, {"IfMatch": f'"{version}"'}, mark)
            if written is None and self._stands(path, version):
                written = self._write(path, payload, {"IfMatch": version}, mark)  # Ceph compares the quotes too
            return written or self._wrote(path, mark)

        return patiently(once, self._patience)

    def put(self, path: str, payload: bytes) -> None:
        patiently(lambda: self._write(path, payload, {}, uuid4().hex), self._patience)

    def deposit(self, path: str, source: str) -> None:
        self._ask("write", path, lambda: file_system().put_file(source, path))  # in parts where it is large

    def delete(self, path: str) -> None:
        self._ask("delete", path, lambda: call("delete_object", path))

    def sweep(self, path: str) -> int:
        return 0  # one PUT leaves nothing half-written

    def _page(self, bucket: str, prefix: str, options: Mapping[str, object]) -> Reply:
        path = f"{bucket}/{prefix}"
        return self._ask("list", path, lambda: call_bucket("list_objects_v2", bucket, {"Prefix": prefix, **options}))

    def _write(self, path: str, payload: bytes, condition: Mapping[str, str], mark: str) -> str | None:
        """One PUT: the version written, or None where the condition was refused."""
        if len(payload) > LARGEST_PUT:
            raise StoreError(errors.UNSUPPORTED, f"s3://{path}: {len(payload):,} bytes are more than one PUT may carry")
        checked = base64.b64encode(hashlib.md5(payload, usedforsecurity=False).digest()).decode()
        try:
            write = {"Body": payload, "ContentMD5": checked, "Metadata": {MARK: mark}, **condition}
            out = self._once("write", path, lambda: call("put_object", path, **write))
        except RefusedError:
            return None
        return etag(out)

    def _wrote(self, path: str, mark: str) -> str | None:
        """The version, where the object is what this very call has written, and the answer to that was lost."""
        found = self._found(path)
        marks = cast(Mapping[str, str], found.get("Metadata", {})) if found is not None else {}
        return etag(found) if found is not None and marks.get(MARK) == mark else None

    def _stands(self, path: str, version: str) -> bool:
        """Whether this version is the object's."""
        found = self._found(path)
        return found is not None and etag(found) == version

    def _found(self, path: str) -> Reply | None:
        """What a HEAD tells; None where nothing is."""
        try:
            return self._ask("read", path, lambda: call("head_object", path))
        except StoreError as error:
            if error.kind == errors.DENIED:
                self._page(*split(path), {"MaxKeys": 1})  # a HEAD's refusal has no reason in it, a listing's has
            if error.kind != errors.NOT_FOUND:
                raise
        return None

    def _ask(self, verb: str, path: str, ask: Callable[[], T]) -> T:
        return patiently(lambda: self._once(verb, path, ask), self._patience)

    def _once(self, verb: str, path: str, ask: Callable[[], T]) -> T:
        """Ask once; say in words what came back, and whether it is worth asking again."""
        try:
            return ask()
        except (OSError, BotoCoreError, ClientError, WireError) as error:
            answer = read_answer(error)
        if answer.status == 412 or (verb == "write" and answer.code == "NoSuchKey"):
            raise refusal(verb, path)
        if answer.status == 416:
            raise PastTheEndError
        failure = explain(answer, verb, path, endpoint())
        raise TransientError(failure) if is_transient(answer) else failure


class RefusedError(Exception):
    """The condition of a write did not hold."""


class PastTheEndError(Exception):
    """The range begins where the object has ended."""


def refusal(verb: str, path: str) -> Exception:
    """What a failed condition means: for a write, that it is not ours; for a read, that the object is another."""
    if verb == "write":
        return RefusedError()
    return StoreError(errors.CHANGED, f"s3://{path} changed while it was read")


def call(method: str, path: str, **options: object) -> Reply:
    """Ask for one object."""
    bucket, key = split(path)
    return call_bucket(method, bucket, {"Key": key, **options})


def call_bucket(method: str, bucket: str, options: Mapping[str, object]) -> Reply:
    """Ask, in this process's file system."""
    reply: Reply = file_system().call_s3(method, Bucket=bucket, **options)
    return reply


def fetch(path: str, options: Mapping[str, str]) -> Part:
    """Read a body whole: fewer bytes than promised is a failure, never a short answer."""
    out = call("get_object", path, **options)
    body = out["Body"]
    try:
        payload: bytes = sync(file_system().loop, body.read)  # type: ignore[attr-defined]
    finally:
        body.close()  # type: ignore[attr-defined]
    promised = number(out, "ContentLength")
    if len(payload) != promised:
        raise ConnectionResetError(f"{len(payload)} bytes of {promised} came")
    total = str(out.get("ContentRange", f"/{promised}")).rpartition("/")[2]
    return Part(payload, int(total), etag(out))


def described(path: str, out: Reply) -> Entry:
    """The entry that a HEAD makes."""
    return Entry(path, number(out, "ContentLength"), etag(out))


def number(out: Reply, name: str) -> int:
    """A count that every server states."""
    return int(str(out[name]))


def etag(out: Reply) -> str:
    """The version that a server states, without its quotes."""
    return str(out.get("ETag", "")).strip('"')


def split(path: str) -> tuple[str, str]:
    """Bucket and key."""
    bucket, _, key = path.partition("/")
    return bucket, key


def file_system() -> s3fs.S3FileSystem:
    """The process's file system, from the ambient credentials; made once, by whichever thread asks first."""
    with LOCK:
        return made()


@cache
def made() -> s3fs.S3FileSystem:
    """Make it. A forked child makes its own: connections cannot be shared."""
    system = s3fs.S3FileSystem(config_kwargs=CONFIG, use_listings_cache=False, skip_instance_cache=True)
    system.retries = 1
    return system


def endpoint() -> str:
    """The address of the store, for messages."""
    system = file_system()
    client = system._s3
    return errors.scrub(str(client.meta.endpoint_url)) if client is not None else "S3"


LOCK = threading.Lock()
os.register_at_fork(before=LOCK.acquire, after_in_parent=LOCK.release, after_in_child=LOCK.release)
os.register_at_fork(after_in_child=made.cache_clear)
