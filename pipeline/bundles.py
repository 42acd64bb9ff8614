"""Small shards that one call of a reader takes together.

A call of the engine costs more than a shard of a few recordings, and these fill no batch. What is open at a time stays
what it is with shards of the usual size.
"""

from collections.abc import Iterator, Sequence

from pipeline.planfile import Place

RECORDINGS, BYTES = 1024, 64 << 20
"""Of a call at most, unless a single shard has more."""
CALLS = 32
"""For each reader at least, so that all of them end together and what was read is soon written."""


def bundles(places: Sequence[Place], readers: int) -> Iterator[list[Place]]:
    """Yield the shards of one call after another, in their order. A container of unknown size goes alone."""
    calls = CALLS * max(1, readers)
    most = min(RECORDINGS, sum(place.rows for place in places) // calls)
    room = min(BYTES, sum(place.bytes for place in places) // calls)
    bundle: list[Place] = []
    recordings = held = 0
    for place in places:
        recordings, held = recordings + place.rows, held + place.bytes
        if bundle and (recordings > most or held > room or not _known(place) or not _known(bundle[-1])):
            yield bundle
            bundle, recordings, held = [], place.rows, place.bytes
        bundle.append(place)
    if bundle:
        yield bundle


def _known(place: Place) -> bool:
    """Whether it is known how much there is to read."""
    return place.rows > 1 or place.bytes > 0
