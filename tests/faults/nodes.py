"""A cluster of three nodes on this machine, kept by a process of its own that does as it is told on its input.

add       one more node of two cores and a pretended GPU
remove    the oldest of these is gone, at once
behead    the head's raylet dies
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.faults.runs import ROOT, kill_family

STORE = 90 << 20
"""Bytes of each node's object store."""


@dataclass(frozen=True)
class Nodes:
    """The keeper, from outside."""

    process: "subprocess.Popen[str]"
    address: str

    def tell(self, word: str) -> None:
        """Have it done."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == f"done {word}\n"


@contextmanager
def nodes() -> Iterator[Nodes]:
    """A head without devices, and two nodes with one each."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "tests.faults.nodes"]
    keeper = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
    try:
        assert keeper.stdout is not None
        said = keeper.stdout.readline()
        assert said.startswith("address "), said
        yield Nodes(keeper, said.split()[1])
    finally:
        kill_family(keeper)


def keep() -> None:
    """Make the cluster, and do as told."""
    from ray.cluster_utils import Cluster

    size = {"num_cpus": 2, "num_gpus": 1, "object_store_memory": STORE, "memory": 8 << 30}
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:  # sockets have short names
        head = {
            "num_cpus": 1,
            "num_gpus": 0,
            "object_store_memory": STORE,
            "temp_dir": folder,
            "include_dashboard": False,
        }
        cluster = Cluster(initialize_head=True, head_node_args=head)
        workers = [cluster.add_node(**size), cluster.add_node(**size)]
        say(f"address {cluster.address}")
        for line in sys.stdin:
            word = line.strip()
            if word == "add":
                workers.append(cluster.add_node(**size))
            elif word == "remove":
                cluster.remove_node(workers.pop(0), allow_graceful=False)
            elif word == "behead":
                cluster.head_node.kill_raylet()
            say(f"done {word}")


def say(what: str) -> None:
    """To whoever started this."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    keep()
