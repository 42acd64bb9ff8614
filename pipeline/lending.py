"""Inputs that lie in this process's own memory (`memory://`), lent to the workers that it starts on this machine."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import fsspec

from pipeline.storage import LENT, open_place, parse
from pipeline.stores.disk import words
from pipeline.stores.lent import SCHEME


@contextmanager
def lent(urls: Sequence[str]) -> Iterator[None]:
    """Copy what memory holds under the first names of these addresses into a folder, for as long as a run lasts."""
    here = [url for url in urls if url.lower().startswith(f"{SCHEME}://")]
    if not here:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="stenopool-memory-") as folder:
        for top in {parse(url)[1].split("/")[1] for url in here}:
            _copy(top, folder)
        os.environ[LENT] = folder
        open_place.cache_clear()
        try:
            yield
        finally:
            del os.environ[LENT]
            open_place.cache_clear()


def _copy(top: str, folder: str) -> None:
    memory = fsspec.filesystem(SCHEME)
    for path in memory.find(f"/{top}"):
        if ".." in path.split("/"):
            continue  # no name leaves the folder
        copy = Path(folder + path)
        with words(str(copy)):
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(memory.cat_file(path))
