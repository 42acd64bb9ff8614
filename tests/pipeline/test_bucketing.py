"""Batches hold like lengths, within a budget, and lose nothing."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batches import Ready
from pipeline.bucketing import Buckets, batches, cost, padding


def ready(number: int, seconds: float) -> Ready:
    return Ready({"ordinal": number}, np.zeros(max(1, int(seconds * 100)), np.float32), seconds)


LENGTHS = st.lists(st.floats(0.1, 40.0), max_size=300)


@given(LENGTHS, st.integers(1, 200), st.floats(1.0, 500.0))
def test_every_segment_is_in_one_batch_and_no_batch_costs_too_much(
    lengths: list[float], window: int, budget: float
) -> None:
    rules = Buckets(window=window, budget=budget, most=32)
    made = list(batches((ready(i, seconds) for i, seconds in enumerate(lengths)), rules))
    assert sorted(str(r.key["ordinal"]) for batch in made for r in batch) == sorted(map(str, range(len(lengths))))
    for batch in made:
        assert len(batch) <= 32
        assert len(batch) == 1 or cost(len(batch), max(r.seconds for r in batch), rules) <= budget


@given(LENGTHS)
def test_rows_without_audio_ride_along(lengths: list[float]) -> None:
    rows = [Ready({"ordinal": i}, None) if i % 3 else ready(i, seconds) for i, seconds in enumerate(lengths)]
    made = [r for batch in batches(rows, Buckets(window=16)) for r in batch]
    assert sorted(str(r.key["ordinal"]) for r in made) == sorted(str(i) for i in range(len(lengths)))


def test_the_bytes_that_wait_are_bounded() -> None:
    held = 0
    largest = 0

    def stream() -> "object":
        nonlocal held, largest
        for i in range(400):
            held += 4000
            largest = max(largest, held)
            yield ready(i, 10.0)

    for batch in batches(stream(), Buckets(window=1024, window_bytes=200_000, budget=100.0)):  # type: ignore[arg-type]
        held -= sum(r.nbytes for r in batch)
    assert largest <= 2 * 200_000 + 4000


def test_a_skewed_mix_is_padded_by_less_than_three_percent() -> None:
    lengths = np.random.default_rng(0).lognormal(np.log(5.8), 0.8, 8192).clip(0.5, 35.0)
    made = list(batches((ready(i, seconds) for i, seconds in enumerate(lengths)), Buckets(window=1024)))
    room = sum(len(batch) * max(r.seconds for r in batch) for batch in made)
    assert 1 - lengths.sum() / room <= 0.03


@given(LENGTHS, st.integers(2, 40))
def test_a_short_window_is_cut_into_parts_that_end_together(lengths: list[float], parts: int) -> None:
    rules = Buckets(parts=parts, budget=40.0)
    made = list(batches((ready(i, seconds) for i, seconds in enumerate(lengths)), replace(rules, window=300)))
    costs = [cost(len(batch), max(r.seconds for r in batch), rules) for batch in made if len(batch) > 1]
    whole = sum(cost(1, seconds, rules) for seconds in lengths[:64])
    if len(lengths) <= 64:
        assert all(one <= max(10.0, whole / parts) + 1e-9 for one in costs)
    assert sum(map(len, made)) == len(lengths)
    assert all(one <= 40.0 for one in costs)


def test_padding_is_the_share_that_is_not_audio() -> None:
    assert padding([10.0, 5.0]) == 0.25
    assert padding([]) == 0.0
