"""The nodes of a cluster, a line each: `python -m infra.cluster.nodes ADDRESS`.

It asks the head and joins nothing, so it is quick and leaves no trace.
"""

import argparse
import sys

from ray._raylet import GcsClient  # type: ignore[attr-defined]


def main() -> int:
    """Print the living nodes; exit code 1 where there are fewer than asked for."""
    parser = argparse.ArgumentParser(description="The nodes of a Ray cluster.")
    parser.add_argument("address", help="the head's HOST:PORT")
    parser.add_argument("--at-least", type=int, default=1, help="how many there must be")
    arguments = parser.parse_args()
    there = living(arguments.address)
    for line in there:
        print(line)
    return 0 if len(there) >= arguments.at_least else 1


def living(address: str) -> list[str]:
    """Each node that is alive: its id, and what it has."""
    nodes = GcsClient(address=address).get_all_node_info(timeout=10).values()
    return [
        f"{node.node_id.hex()}  {'head  ' if node.is_head_node else 'worker'}  {_has(node.resources_total)}"
        for node in sorted(nodes, key=lambda node: (not node.is_head_node, node.start_time_ms))
        if node.state == ALIVE
    ]


ALIVE = 0
"""Ray's number for a node that lives."""


def _has(resources: dict[str, float]) -> str:
    return ", ".join(f"{name} {resources[name]:g}" for name in ("CPU", "GPU") if name in resources)


if __name__ == "__main__":
    sys.exit(main())
