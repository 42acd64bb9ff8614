"""Whether a cluster listens at the address that a job names: looked at before anything is written or started.

Only the door is tried. Whether what opens it is Ray, of the same versions, is `steno doctor --address`.
"""

import socket
from collections.abc import Iterator

from pipeline.stores.errors import scrub

SECONDS = 5.0
"""That the door may take to open."""
SPOKEN = ("auto", "local")
"""Addresses that are words."""
CLIENT = "ray://"
PAGES = ("http://", "https://")
"""How a dashboard is asked, and what takes jobs there: nothing that a run can join."""
CLIENT_PORT = 10_001
"""Where none is named."""


def closed_door(address: str | None) -> Iterator[str]:
    """Why no cluster can be joined there."""
    if address is None or address in SPOKEN:
        return
    pages = address.lower().startswith(PAGES)
    if "://" in address and not address.startswith(CLIENT) and not pages:
        return
    host, port = _parts(address)
    if not host or port is None or pages:
        yield f"address is {scrub(address)!r}: it must be HOST:PORT, ray://HOST:10001 or auto"
        return
    try:
        with socket.create_connection((host, port), SECONDS):
            return
    except (OSError, UnicodeError) as error:  # a name with a label that is too long is no text for the resolver
        why = f"no answer within {SECONDS:.0f} s" if isinstance(error, TimeoutError) else _words(error)
    yield f"address: nothing answers at {scrub(address)} ({why}): is the cluster up, and can it be reached from here?"


def _parts(address: str) -> tuple[str, int | None]:
    place = address.removeprefix(CLIENT).partition("/")[0].partition("?")[0]
    host, colon, port = place.rpartition(":")
    if not colon and address.startswith(CLIENT):
        return place, CLIENT_PORT
    return host.strip("[]"), int(port) if port.isascii() and port.isdigit() and int(port) < 1 << 16 else None


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
