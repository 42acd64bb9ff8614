"""Sizes and versions of what a manifest names: its folder is listed once, not asked object by object.

Twenty-four bytes per object. A folder with more objects than the rules allow is left unlisted, as is one that may not
be listed, and its recordings have no version: they count as changed when the manifest tells something else of them. An
outage of the storage is raised.
"""

from array import array
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from pipeline.inputs.paths import within
from pipeline.inputs.rows import Row, key
from pipeline.storage import StoreError, list_entries


class Catalogue:
    """The objects below one folder."""

    def __init__(self, folder: str, most: int) -> None:
        keys, sizes, versions = array("Q"), array("Q"), array("Q")
        try:
            for entry in islice(list_entries(folder), most + 1):
                keys.append(key(entry.uri))
                sizes.append(entry.size)
                versions.append(key(entry.version))
        except StoreError as error:
            if not error.lasting:
                raise
            del keys[:], sizes[:], versions[:]  # who may read but not list, has no versions
        if len(keys) > most:
            del keys[:], sizes[:], versions[:]
        order = np.argsort(np.array(keys, np.uint64), kind="stable")
        self._keys = np.array(keys, np.uint64)[order]
        self._sizes, self._versions = np.array(sizes, np.uint64)[order], np.array(versions, np.uint64)[order]

    def find(self, uri: str) -> tuple[int, str] | None:
        """Bytes and version of an object; None where it is not known."""
        wanted = np.uint64(key(uri))
        place = int(np.searchsorted(self._keys, wanted))
        if place == len(self._keys) or self._keys[place] != wanted:
            return None
        return int(self._sizes[place]), f"{int(self._versions[place]):016x}"


def versioned(rows: Iterator[tuple[str, Row]], roots: Sequence[str], most: int) -> Iterator[tuple[str, Row]]:
    """Give the rows of a manifest the size and the version of what they name, where a folder in `roots` holds it."""
    known: dict[str, Catalogue] = {}
    for form, row in rows:
        place, mark, _ = row.uri.rpartition("#") if row.uri.count(".tar#") else (row.uri, "", "")
        root = next((root for root in roots if within(place, root) is not None), None)
        if row.error or root is None:
            yield form, row
            continue
        if root not in known:
            known[root] = Catalogue(root, most)
        found = known[root].find(place)
        yield form, row if found is None else row._replace(bytes=None if mark else found[0], version=found[1])
