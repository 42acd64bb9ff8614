"""What an object is to blame for, and what it is not."""

from pipeline.schema import Failure
from pipeline.storage import StoreError


def blame(error: StoreError) -> Failure:
    """The failure of a recording that cannot be had. An outage of the storage is raised again: no row may say it."""
    if not error.lasting:
        raise error
    return Failure(error.kind, "sources", str(error))
