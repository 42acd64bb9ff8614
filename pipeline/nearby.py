"""A file that an option names, wherever it lies: what is in it, and a copy of it on this machine.

A copy is kept by the file's address, size and version, so one that was written again is fetched again.
"""

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from pipeline.storage import DISK, StoreError, open_input, open_place, parse
from pipeline.stores.errors import DENIED

CHUNK = 4 << 20
FILES = "files"
"""The folder of copies in the cache."""


def content_hash(url: str) -> str:
    """What is in a file, whatever it is called; `StoreError` where it cannot be read."""
    with open_input(url) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def nearby(url: str) -> Path:
    """Where it can be opened on this machine; `StoreError` where it cannot be had."""
    scheme, path = parse(url)
    if scheme in DISK:
        return Path(path)
    entry = open_place(scheme).head(path)
    known = hashlib.sha256(repr((url, entry.size, entry.version)).encode()).hexdigest()[:32]
    copy = _cache() / known
    if not copy.exists():
        _fetch(url, copy)
    return copy


def _cache() -> Path:
    root = os.environ.get("STENOPOOL_CACHE") or "~/.cache/stenopool"
    return Path(root).expanduser().absolute() / FILES


def _fetch(url: str, copy: Path) -> None:
    """Whole, under a name of our own first: several processes may want it at once."""
    partial = copy.with_name(f".{copy.name}.{uuid4().hex}")
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with open_input(url) as file, partial.open("wb") as arriving:
            shutil.copyfileobj(file, arriving, CHUNK)
        partial.replace(copy)
    except OSError as error:
        said = f"{copy.parent} cannot be written ({error.strerror}): set STENOPOOL_CACHE to a folder that can"
        raise StoreError(DENIED, said) from error
    finally:
        with suppress(OSError):
            partial.unlink()
