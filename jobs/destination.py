"""Where a command writes what it makes of an output: tried before the work, so that nobody waits for a refusal."""

import os
from collections.abc import Iterator
from uuid import uuid4

from jobs.refusals import Problem, named
from pipeline.knocking import knock
from pipeline.storage import DISK, Store, StoreError, parse
from pipeline.stores import errors


def file_at(url: str) -> tuple[Store, str]:
    """The folder that a file is to lie in, and its name there; `StoreError` where it cannot be a file."""
    scheme, path = parse(url)
    if url.endswith("/") or (scheme in DISK and os.path.isdir(path)):
        raise StoreError(errors.UNSUPPORTED, f"{url} is a folder: name the file in it")
    if scheme not in DISK and "/" not in path.strip("/"):
        raise StoreError(errors.UNSUPPORTED, f"{url} is a bucket: name the file in it")
    folder, _, name = url.rpartition("/")
    return Store(folder or ("/" if url.startswith("/") else ".")), name


def closed_file(url: str) -> Iterator[Problem]:
    """Why a file cannot be written there."""
    try:
        store, _ = file_at(url)
    except StoreError as error:
        yield named("to", error)
        return
    yield from closed(store)


def closed(store: Store) -> Iterator[Problem]:
    """Why nothing can be written into a folder; what was tried is gone again, where it may be deleted."""
    name = f".{uuid4().hex}"
    try:
        knock(store.url)
        store.put(name, b"")
    except StoreError as error:  # it is the folder that a person knows
        yield named("to", StoreError(error.kind, str(error).replace(f"/{name}", "")))
        return
    try:
        store.delete(name)
    except StoreError as error:
        if error.kind != errors.DENIED:
            yield named("to", error)
