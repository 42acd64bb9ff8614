"""A report's charts: bins hold every value once, bars are as high as bins are full, and steps add up to the run."""

import re
from itertools import pairwise

import numpy as np
import pytest

from jobs.page import charts
from jobs.page.bins import Bins, rate_bins, seconds_bins, share_bins

VALUES = np.array([0.0, 1e-12, 0.05, 0.1, 0.1, 0.37, 1.0, 1.5, 3.0, 7.0, 86_400.0, 1e9, -1.0, np.nan])
BAR = re.compile(r'<path d="M ([\d.]+) ([\d.]+) \nL [\d.]+ [\d.]+ \nL [\d.]+ ([\d.]+) [^"]*"[^>]*var\(--first\)')


@pytest.mark.parametrize("bins", [seconds_bins(), share_bins(), rate_bins()], ids=["seconds", "share", "rate"])
def test_every_value_is_counted_in_the_one_bin_that_it_falls_into(bins: Bins) -> None:
    for part in np.array_split(VALUES, 3):
        bins.take(part)
    numbers = np.clip(VALUES[np.isfinite(VALUES)], bins.edges[0], None)
    expected = [sum(low <= value < high for value in numbers) for low, high in pairwise(bins.edges)]
    expected[-1] += sum(value >= bins.edges[-1] for value in numbers)
    assert bins.counts.tolist() == expected
    assert bins.count == len(numbers)
    assert bins.mean == pytest.approx(np.nanmean(VALUES))


def test_bars_are_as_high_as_their_bins_are_full() -> None:
    bins = seconds_bins()
    bins.take(np.repeat([0.3, 1.5, 2.5, 4.5], [1, 4, 2, 8]))
    bars = [(float(x), float(foot) - float(top)) for x, foot, top in BAR.findall(charts.durations_chart(bins))]
    assert bars == sorted(bars)
    used = bins.counts[bins.used]
    assert used.tolist() == [1, 0, 4, 2, 0, 8]
    heights = np.array([height for _, height in bars])
    np.testing.assert_allclose(heights / heights.max(), used / used.max(), atol=1e-3)


@pytest.mark.parametrize(
    ("rate", "told"),
    [(0.0, "0%"), (0.04, "&lt;5%"), (0.2, "&lt;25%"), (0.99, "&lt;100%"), (1.0, "100%"), (7.0, "&gt;100%")],
)
def test_a_bar_says_which_error_rates_it_counts(rate: float, told: str) -> None:
    bins = rate_bins()
    bins.take(np.array([rate]))
    assert f">{told}</text>" in charts.rates_chart("wer", bins)


def test_steps_are_the_run_as_fast_and_as_idle_as_it_was() -> None:
    """Ten seconds at thirty times real time with idle models, then ten at ten times."""
    course = [
        {"elapsed": 5.0 + t, "heard": 30.0 * min(t, 10) + 10.0 * max(0, t - 10), "idle": 0.5 * min(t, 10)}
        for t in range(21)
    ]
    edges, grown = charts.steps(course)
    speed, idle = grown["heard"] / np.diff(edges), grown["idle"] / np.diff(edges)
    np.testing.assert_allclose(speed, [30.0] * 10 + [10.0] * 10)
    np.testing.assert_allclose(idle, [0.5] * 10 + [0.0] * 10, atol=1e-9)
    few, sums = charts.steps(course, most=7)
    assert (few[0], few[-1], len(few)) == (5.0, 25.0, 8)
    assert sums["heard"].sum() == pytest.approx(400.0)
