"""A node that is to go, said so beforehand: its workers leave it at once, while others still can take their work.

The engine gives no new actors to a node that drains, yet goes on sending batches to those that are there until it is
gone. A worker that ends itself between two batches is started again elsewhere, and loads its model within the notice;
and if there is no place for it yet, its wish for one is what makes an autoscaler bring a node.
"""

import os
import signal
import time

import ray

EVERY = 1.0
"""Seconds between two looks: each is a question to the head of the cluster."""
end = os.kill
_looked = 0.0


def leave() -> None:
    """End this worker if its node drains."""
    global _looked  # noqa: PLW0603  # a process is on one node
    if time.monotonic() - _looked < EVERY:
        return
    _looked = time.monotonic()
    if ray.get_runtime_context().get_node_id() in ray._private.state.state.get_draining_nodes():
        end(os.getpid(), signal.SIGKILL)
