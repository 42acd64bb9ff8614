"""Inputs that lie in this process's own memory (`memory://`), lent to the workers that it starts on this machine."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import fsspec

from pipeline.inputs.paths import expanded
from pipeline.storage import LENT, list_entries, open_place
from pipeline.stores.disk import words
from pipeline.stores.other import MEMORY


@contextmanager
def lent(urls: Sequence[str]) -> Iterator[None]:
    """Copy what memory holds into a folder, for as long as a run lasts, if some of these addresses are of it.

    `StoreError` where memory holds nothing there: it went with the process that held it.
    """
    here = [url for url in urls if url.lower().startswith(f"{MEMORY}://")]
    if not here:
        yield
        return
    for url in (name for pattern in here for name in expanded(pattern)):
        next(list_entries(url))
    with tempfile.TemporaryDirectory(prefix="stenopool-memory-") as folder:
        _copy(folder)
        os.environ[LENT] = folder
        open_place.cache_clear()
        try:
            yield
        finally:
            del os.environ[LENT]
            open_place.cache_clear()


def _copy(folder: str) -> None:
    memory = fsspec.filesystem(MEMORY)
    for path in memory.find("/"):
        if ".." in path.split("/"):
            continue  # no name leaves the folder
        copy = Path(folder + path)
        with words(str(copy)):
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(memory.cat_file(path))
