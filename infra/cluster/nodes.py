"""The nodes of a cluster, a line each: `python -m infra.cluster.nodes ADDRESS`.

It asks the head and joins nothing, so it is quick and leaves no trace.
"""

import argparse
import sys
from dataclasses import dataclass

from ray._raylet import GcsClient  # type: ignore[attr-defined]


def main() -> int:
    """Print the living nodes; exit code 1 where none is as young as asked for."""
    parser = argparse.ArgumentParser(description="The nodes of a Ray cluster.")
    parser.add_argument("address", help="the head's HOST:PORT")
    parser.add_argument("--since", type=int, default=0, help="one of them has begun since then, in milliseconds")
    arguments = parser.parse_args()
    there = living(arguments.address)
    for node in there:
        print(f"{node.id}  {'head  ' if node.head else 'worker'}  {_has(node.resources)}")
    return 0 if any(node.began >= arguments.since for node in there) else 1


@dataclass(frozen=True)
class Node:
    """A node that is alive, as far as the head has noticed: one that was killed counts for a while."""

    id: str
    head: bool
    began: int
    """Milliseconds since 1970."""
    resources: dict[str, float]


def living(address: str) -> list[Node]:
    """The head, then the others as they came."""
    nodes = GcsClient(address=address).get_all_node_info(timeout=10).values()
    found = [
        Node(node.node_id.hex(), node.is_head_node, node.start_time_ms, node.resources_total)
        for node in nodes
        if node.state == ALIVE
    ]
    return sorted(found, key=lambda node: (not node.head, node.began))


ALIVE = 0
"""Ray's number for a node that lives."""


def _has(resources: dict[str, float]) -> str:
    return ", ".join(f"{name} {resources[name]:g}" for name in ("CPU", "GPU") if name in resources)


if __name__ == "__main__":
    sys.exit(main())
