"""What an object is to blame for, and what it is not."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.schema import Failure
from pipeline.storage import StoreError
from pipeline.stores.errors import BROKEN


def blame(error: StoreError) -> Failure:
    """The failure of a recording that cannot be had. An outage of the storage is raised again: no row may say it."""
    if not error.lasting:
        raise error
    return Failure(error.kind, "sources", str(error))


@contextmanager
def reading(uri: str) -> Iterator[None]:
    """While a file is read: what the operating system then refuses is an outage, and has a number.

    An `OSError` without one is a library's word for what is in the file, and damaged content names impossible places.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (None, errno.EINVAL):
            raise
        raise StoreError(BROKEN, f"{uri}: {error.strerror}") from error
