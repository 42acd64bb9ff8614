"""How a run went: what was done by when, as a short series for its record.

A run may take a minute or a week, and its record must stay small: when there are too many samples, every other one is
dropped, and the next ones are taken half as often.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.tally import Tally

MOST = 240
"""Samples that are kept: more than a chart can show apart."""
EVERY = 1.0
"""Seconds between two samples, at first."""


@dataclass(frozen=True)
class Sample:
    """Where a run stood. All but the levels are sums since its start."""

    elapsed: float
    """Seconds since the start."""
    heard: float
    """Seconds of audio that models have heard."""
    room: float
    """Seconds that they would have heard, padding included."""
    busy: float
    """Seconds in which models had a batch, over all of them."""
    idle: float
    """Seconds in which loaded models waited for one."""
    reading: float
    """Seconds in which readers made batches, over all of them."""
    queued: int
    """Batches that waited for a model, at that moment."""
    models: int
    """Models that were loaded, at that moment."""


class Course:
    """Watches a run, and keeps at most `most` samples of it."""

    def __init__(self, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self.clock = most, clock
        self.every, self.began = EVERY, clock()
        self._kept: list[Sample] = []
        self._latest: Sample | None = None

    def __call__(self, tally: Tally) -> None:
        """Take a sample, if it is time."""
        self._latest = _sample(tally, self.elapsed)
        if not self._kept or self._latest.elapsed - self._kept[-1].elapsed >= self.every:
            self._kept.append(self._latest)
        if len(self._kept) >= self.most:
            self._kept, self.every = self._kept[::2], 2 * self.every

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return self.clock() - self.began

    @property
    def samples(self) -> tuple[Sample, ...]:
        """What was kept, and where the run stood last."""
        last = self._latest
        return (*self._kept, *([last] if last is not None and last != self._kept[-1] else []))


def _sample(tally: Tally, elapsed: float) -> Sample:
    standing = tally.standing
    return Sample(
        round(elapsed, 3), round(tally.heard, 3), round(tally.room, 3), round(tally.busy, 3), round(tally.idle, 3),
        round(tally.reading, 3), standing.queued, standing.running,
    )  # fmt: skip
