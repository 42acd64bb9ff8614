"""Batches of whole recordings, for what needs all segments of one at once.

The segments of each channel travel in one batch, however long the recording is: its length must have a limit.
"""

from collections.abc import Iterable, Iterator

from pipeline.batches import Ready
from pipeline.bucketing import Buckets

Group = list[Ready]


def groups(stream: Iterable[Ready]) -> Iterator[Group]:
    """The segments of each channel of a recording, in their order; what belongs to no recording goes alone."""
    owner: tuple[object, object] | None = None
    open_: dict[object, Group] = {}
    for ready in stream:
        key = ready.key
        here = (key["shard"], key.get("ordinal"))
        if here != owner:  # channels that did not end: their recording has failed, and has said so
            yield from open_.values()
            open_, owner = {}, here
        group = open_.setdefault(key.get("channel"), [])
        group.append(ready)
        if key.get("last") or key.get("ordinal") is None:
            yield open_.pop(key.get("channel"))
    yield from open_.values()


def whole_batches(stream: Iterable[Ready], rules: Buckets) -> Iterator[Group]:
    """Groups of like length together, up to the budget; one that is longer goes alone."""
    window: list[Group] = []
    count = held = 0
    for group in groups(stream):
        window.append(group)
        count, held = count + len(group), held + sum(ready.nbytes for ready in group)
        if count >= rules.window or held >= rules.window_bytes:
            yield from _packed(window, rules)
            window, count, held = [], 0, 0
    yield from _packed(window, rules)


def _packed(window: list[Group], rules: Buckets) -> Iterator[Group]:
    batch: Group = []
    room = rules.budget
    for group in sorted(window, key=_seconds, reverse=True):
        if batch and (_seconds(group) > room or len(batch) + len(group) > rules.most):
            yield batch
            batch, room = [], rules.budget
        batch = batch + group
        room -= _seconds(group)
    if batch:
        yield batch


def _seconds(group: Group) -> float:
    return sum(ready.seconds for ready in group)
