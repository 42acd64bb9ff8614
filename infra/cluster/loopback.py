"""`ray start` for a cluster at home: every node of it on 127.0.0.1.

Ray's own command replaces 127.0.0.1 by the machine's address on its network, so that other machines can join; here
none shall.
"""

import sys

from ray._private import services
from ray.scripts.scripts import main

HOME = "127.0.0.1"


def _at_home(_: str | None = None) -> str:
    return HOME


if __name__ == "__main__":
    services.get_node_ip_address = _at_home
    sys.argv[0] = "ray"
    main()  # type: ignore[no-untyped-call]
