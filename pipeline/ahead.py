"""Do work in many threads, and hand the results over in order.

What is read ahead is bounded by its weight, not by its count: a thousand small objects, or two large ones.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = 32
"""Enough to hide the latency of a store."""


def in_order(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    weight: Callable[[Item], int],
    budget: int,
    threads: int = THREADS,
) -> Iterator[Result]:
    """Yield `work` of every item, in the items' order.

    The weights of what is under way stay within `budget`; an item heavier than that travels alone.
    """
    pool = ThreadPoolExecutor(threads)
    waiting: deque[tuple[Future[Result], int]] = deque()
    held = 0
    try:
        for item in items:
            heavy = weight(item)
            while waiting and (held + heavy > budget or len(waiting) >= 4 * threads):
                done, lighter = waiting.popleft()
                yield done.result()
                held -= lighter
            waiting.append((pool.submit(work, item), heavy))
            held += heavy
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
