"""The course of a run is kept small however long the run is, and its end is never lost."""

from itertools import pairwise

from pipeline.course import Course
from pipeline.tally import Tally


class Clock:
    """Time as the test tells it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def watched(seconds: int, most: int, step: float = 0.25) -> Course:
    """A course of a run that hears ten seconds a second."""
    clock = Clock()
    course, tally = Course(most, clock), Tally()
    for _ in range(int(seconds / step)):
        clock.now += step
        tally.heard += 10 * step
        course(tally)
    return course


def test_a_short_run_is_kept_about_every_second() -> None:
    samples = watched(20, most=100).samples
    steps = [right.elapsed - left.elapsed for left, right in pairwise(samples)]
    assert 18 <= len(samples) <= 21
    assert all(step >= 1.0 for step in steps[:-1])


def test_a_long_run_is_thinned_evenly() -> None:
    samples = watched(5_000, most=60).samples
    steps = [right.elapsed - left.elapsed for left, right in pairwise(samples)]
    assert 25 <= len(samples) <= 61
    assert max(steps[:-1]) == min(steps[:-1])


def test_the_last_sample_is_the_end_of_the_run() -> None:
    for seconds in (1, 7, 333, 1_000):
        course = watched(seconds, most=20)
        assert course.samples[-1].elapsed == seconds
        assert course.samples[-1].heard == 10 * seconds


def test_a_run_that_did_nothing_has_no_samples() -> None:
    assert Course().samples == ()
