"""How much memory a process and all below it hold, while they run."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

EVERY = 0.5
"""Seconds between two looks."""


@contextmanager
def watched(pid: int) -> Iterator[list[dict[str, int]]]:
    """Bytes that no other process shares, by each process's number and command: a mapping for every look."""
    looks: list[dict[str, int]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(EVERY):
            try:
                family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
                held = {f"{one.pid} {' '.join(one.cmdline())}": one.memory_info() for one in family}
            except psutil.NoSuchProcess:
                continue
            looks.append({name: one.rss - one.shared for name, one in held.items()})

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield looks
    over.set()
    thread.join()
