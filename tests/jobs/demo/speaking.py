"""espeak-ng, where tests need it: they are left out where it is not installed, unless it is required."""

import ctypes
import ctypes.util
import os

import pytest

REQUIRED = "speech" in os.environ.get("STENOPOOL_REQUIRE", "").split(",")
FOUND = ctypes.util.find_library("espeak-ng")
MADE_WITH = "1.51"
"""What spoke the corpus that ships: another version may speak otherwise."""

needs_espeak = pytest.mark.skipif(
    FOUND is None and not REQUIRED, reason="espeak-ng is not installed; only the demo's recipe needs it"
)


def version() -> str:
    """Of the library that is installed; nothing where there is none."""
    if FOUND is None:
        return ""
    library = ctypes.CDLL(FOUND)
    library.espeak_Info.restype = ctypes.c_char_p
    told: bytes = library.espeak_Info(None)
    return told.decode().split()[0]


needs_the_same_espeak = pytest.mark.skipif(
    version() != MADE_WITH and not (REQUIRED and FOUND is None),
    reason=f"espeak-ng {version() or 'is not installed'}: the corpus was spoken by {MADE_WITH}",
)
