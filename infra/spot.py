"""`python -m infra.spot HEAD:PORT`: on a machine of AWS's spot market, turn the notice of its end into a drain.

The market gives two minutes. Ray then places nothing more on the node, and what is under way may end or move.
"""

import argparse
import os
import subprocess
import sys
import time
import urllib.request
from http.client import HTTPException

MARKET = "http://169.254.169.254/latest"
"""The machine's own metadata service, which also says when the machine is taken away."""
SECONDS = 5.0
"""Between two questions, and between two tries."""
NOTICE, MARGIN = 120.0, 20.0
"""Seconds from the notice to the machine's end, and of those the last, which belong to nobody's work."""


def noticed(market: str = MARKET) -> bool:
    """Whether the market has said that it will take this machine. What cannot be asked has said nothing."""
    try:
        token = _ask("PUT", f"{market}/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        _ask("GET", f"{market}/meta-data/spot/instance-action", {"X-aws-ec2-metadata-token": token})
    except (OSError, HTTPException, ValueError):  # the last: a token that is none
        return False
    return True


def leave(head: str, ray: str = "ray") -> int:
    """Drain, again and again where Ray does not take it, until the machine's time is over; the last exit code."""
    end = time.monotonic() + NOTICE
    while code := drain(head, ray, max(0, round(end - MARGIN - time.monotonic()))):
        if time.monotonic() + SECONDS >= end:
            break
        time.sleep(SECONDS)
    return code


def drain(head: str, ray: str, seconds: int) -> int:
    """Tell Ray that this node has so many seconds left; its exit code."""
    reason = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "the spot market takes the machine"]
    command = [ray, "drain-node", "--address", head, *reason, "--deadline-remaining-seconds", str(seconds)]
    here = {**os.environ, "RAY_ADDRESS": head}  # Ray asks there which node this is
    return subprocess.run(command, env=here, check=False).returncode  # noqa: S603


def _ask(method: str, address: str, headers: dict[str, str]) -> str:
    request = urllib.request.Request(address, headers=headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
        return str(answer.read().decode())


def main() -> int:
    """Watch until there is a notice, then drain."""
    parser = argparse.ArgumentParser(prog="python -m infra.spot", description="Drain this node when it is taken away.")
    parser.add_argument("head", help="HOST:PORT of the cluster's head")
    parser.add_argument("--market", default=MARKET, help="the machine's metadata service")
    parser.add_argument("--ray", default="ray", help="Ray's command")
    asked = parser.parse_args()
    while not noticed(asked.market):
        time.sleep(SECONDS)
    return leave(asked.head, asked.ray)


if __name__ == "__main__":
    sys.exit(main())
