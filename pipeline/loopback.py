"""Keep an engine that belongs to this machine off its network.

Ray replaces 127.0.0.1 by the machine's own address and then listens on every interface, except where it takes itself
to be on a desktop without clusters: there it stays on loopback. That is asked for here, while it starts.
"""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager

from ray._private import ray_constants

LOCAL = "local"


def stays_here(address: str | None) -> bool:
    """Whether an address names an engine of this machine alone: none, a new one, or one on loopback."""
    if address is None or address == LOCAL:
        return True
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def on_loopback() -> Iterator[None]:
    """While the engine starts or is joined, its address on this machine is that of loopback."""
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
