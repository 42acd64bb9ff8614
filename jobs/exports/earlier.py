"""The files of one format that an export wrote, so that a later one can take away those that do not belong any more.

They are kept beside the files in a hidden list, eight bytes for each, of its name and what was in it. So nothing is
taken away but what this program wrote and nobody has changed since.
"""

import hashlib
from array import array

import numpy as np

from pipeline.inputs.rows import key
from pipeline.inputs.seen import Keys
from pipeline.storage import Store, StoreError
from pipeline.stores.errors import DENIED, NOT_FOUND

LIST = ".exported"


class Earlier:
    """One folder of an export: what lay there before, and what is written now."""

    def __init__(self, store: Store, folder: str, ending: str) -> None:
        self._store, self._folder, self._ending = store, folder, ending
        self._names, self._files = array("Q"), array("Q")
        self._before = self._listed()

    def add(self, name: str, payload: bytes) -> None:
        """A file that is written now."""
        self._names.append(key(name))
        self._files.append(_file(name, payload))

    def keep(self) -> None:
        """List what may be there, from before and from now: an export that breaks off forgets nothing."""
        self._list(np.union1d(self._before, np.array(self._files, np.uint64)))

    def sweep(self) -> int:
        """Remove what only an earlier export wrote, and list what is left; how many files that were."""
        now, gone = np.array(self._files, np.uint64), 0
        if len(np.setdiff1d(self._before, now)):
            names = np.sort(np.array(self._names, np.uint64))
            for entry in list(self._store.names(self._folder)):
                if entry.uri.endswith(self._ending) and not _has(names, key(entry.uri)) and self._wrote(entry.uri):
                    self._store.delete(entry.uri)
                    gone += 1
        self._list(np.unique(now))
        return gone

    def _wrote(self, name: str) -> bool:
        try:
            return _has(self._before, _file(name, self._store.read(name)))
        except StoreError as error:
            if not error.lasting:
                raise
            return False  # what cannot be read is not ours

    def _listed(self) -> Keys:
        try:
            payload = self._store.read(f"{self._folder}/{LIST}")
        except StoreError as error:
            if error.kind not in (NOT_FOUND, DENIED):  # who may only write, leaves what is there
                raise
            payload = b""
        return np.frombuffer(payload[: len(payload) // 8 * 8], "<u8").astype(np.uint64)

    def _list(self, keys: Keys) -> None:
        if len(keys) or len(self._before):
            self._store.put(f"{self._folder}/{LIST}", keys.astype("<u8").tobytes())


def _file(name: str, payload: bytes) -> int:
    return key(name, hashlib.blake2b(payload, digest_size=16).hexdigest())


def _has(keys: Keys, wanted: int) -> bool:
    """Whether it is among sorted keys."""
    place = int(np.searchsorted(keys, np.uint64(wanted)))
    return place < len(keys) and int(keys[place]) == wanted
