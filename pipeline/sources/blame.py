"""What an object is to blame for, and what it is not."""

from pipeline.schema import FAILED, WITHHELD, Failure
from pipeline.storage import StoreError


def blame(error: StoreError) -> Failure:
    """The failure of a recording that cannot be had: withheld where the error says nothing about the object."""
    return Failure(error.kind, "sources", str(error), FAILED if error.lasting else WITHHELD)
