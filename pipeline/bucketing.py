"""Group segments into batches of like lengths.

Sorted inside a window of segments, because sorting everything would hold everything. The first window is small, so
that the models begin at once, and the windows double until they are as large as they may be.
"""

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
    most: int = 256
    """Segments in a batch."""


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
    group: list[Ready] = []
    for ready in sorted((r for r in window if r.inputs is not None), key=lambda r: -r.seconds):
        longest = group[0].seconds if group else ready.seconds
        if group and (len(group) >= rules.most or cost(len(group) + 1, longest, rules) > rules.budget):
            yield group + silent
            group, silent = [], []
        group.append(ready)
    if group or silent:
        yield group + silent


def padding(batch: Sequence[float]) -> float:
    """The share of a batch that is padding, its clips having these lengths."""
    room = len(batch) * max(batch, default=0.0)
    return 1 - sum(batch) / room if room else 0.0
