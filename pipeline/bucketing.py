"""Group segments into batches of like lengths.

Sorted inside a window of segments, because sorting everything would hold everything. The first window is small, so
that the models begin at once, and the windows double until they are as large as they may be.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.batches import Ready

FIRST_WINDOW = 64


@dataclass(frozen=True)
class Buckets:
    """How batches are made."""

    window: int = 1024
    """Segments that are sorted together."""
    window_bytes: int = 256 << 20
    """Bytes of inputs that are held at most, however few segments these are."""
    budget: float = 160.0
    """What a batch may cost, in padded seconds: `cost` says how they are counted."""
    attention_seconds: float = 150.0
    """The length at which attention costs as much as all else: clips cost more than their length."""
    launch: float = 2.0
    """What a batch costs for itself, in padded seconds: one more clip is left to the next where its padding is more."""
    most: int = 256
    """Segments in a batch."""
    parts: int = 1
    """Batches that a window is cut into at least, where it is long enough: few large ones would not end together."""
    least: float = 10.0
    """What a batch may always cost, however many there should be."""


def cost(clips: int, longest: float, rules: Buckets) -> float:
    """What a batch costs whose clips are padded to `longest` seconds."""
    return clips * longest * (1 + longest / rules.attention_seconds)


def batches(stream: Iterable[Ready], rules: Buckets) -> Iterator[list[Ready]]:
    """Yield batches; a segment that costs more than the budget travels alone. Rows without audio ride along."""
    window: list[Ready] = []
    held, size = 0, min(FIRST_WINDOW, rules.window)
    for ready in stream:
        window.append(ready)
        held += ready.nbytes
        if len(window) >= size or held >= rules.window_bytes:
            yield from pack(window, rules)
            window, held, size = [], 0, min(2 * size, rules.window)
    yield from pack(window, rules)


def pack(window: Sequence[Ready], rules: Buckets) -> Iterator[list[Ready]]:
    """Batches of one window, the longest clips first, so that memory runs out early or never."""
    silent = [ready for ready in window if ready.inputs is None]
    ordered = sorted((r for r in window if r.inputs is not None), key=lambda r: -r.seconds)
    for begin, end in cuts([ready.seconds for ready in ordered], rules):
        yield ordered[begin:end] + silent
        silent = []
    if silent:
        yield silent


def cuts(lengths: Sequence[float], rules: Buckets) -> list[tuple[int, int]]:
    """The cheapest way to cut falling lengths into batches: padding on one side, launches on the other."""
    budget, cheapest, came_from = _budget(lengths, rules), [0.0], [0]
    for end in range(1, len(lengths) + 1):
        best, begin = math.inf, end - 1
        for first in range(end - 1, max(-1, end - 1 - rules.most), -1):
            price = cost(end - first, lengths[first], rules)
            if price > budget and end - first > 1:
                break  # an earlier first clip is longer still
            if (total := cheapest[first] + price + rules.launch) < best:
                best, begin = total, first
        cheapest.append(best)
        came_from.append(begin)
    made: list[tuple[int, int]] = []
    end = len(lengths)
    while end:
        made.append((came_from[end], end))
        end = came_from[end]
    return made[::-1]


def _budget(lengths: Sequence[float], rules: Buckets) -> float:
    if rules.parts == 1:
        return rules.budget
    return min(rules.budget, max(rules.least, sum(cost(1, length, rules) for length in lengths) / rules.parts))


def padding(batch: Sequence[float]) -> float:
    """The share of a batch that is padding, its clips having these lengths."""
    room = len(batch) * max(batch, default=0.0)
    return 1 - sum(batch) / room if room else 0.0
