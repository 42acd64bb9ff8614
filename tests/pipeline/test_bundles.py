"""Small shards travel to a reader together, and large ones as ever."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pipeline.bundles import BYTES, CALLS, RECORDINGS, bundles
from pipeline.planfile import Place

SIZES = st.lists(st.tuples(st.integers(1, 2 * RECORDINGS), st.integers(0, 2 * BYTES)), max_size=300)


def places(sizes: Sequence[tuple[int, int]]) -> list[Place]:
    """Shards of so many recordings and bytes."""
    return [Place(f"{at:06}", 0, 0, rows, size) for at, (rows, size) in enumerate(sizes)]


def calls(count: int, rows: int, size: int, readers: int = 1) -> list[int]:
    """How many of so many like shards each call takes."""
    return [len(call) for call in bundles(places([(rows, size)] * count), readers)]


@given(SIZES, st.integers(1, 9))
def test_every_shard_comes_once_and_in_its_order_and_no_call_is_more_than_a_usual_shard(
    sizes: list[tuple[int, int]], readers: int
) -> None:
    planned = places(sizes)
    made = list(bundles(planned, readers))
    assert [place for call in made for place in call] == planned
    for call in made:
        few, little = sum(place.rows for place in call) <= RECORDINGS, sum(place.bytes for place in call) <= BYTES
        assert len(call) == 1 or (len(call) > 1 and few and little)


def test_many_small_shards_make_few_calls() -> None:
    assert calls(100_000, 10, 720_000)[:2] == [93, 93]
    assert calls(100_000, 10, 0)[:2] == [102, 102]


def test_shards_of_the_usual_size_go_alone() -> None:
    assert set(calls(1_000, 1_024, 72 << 20)) == {1}


def test_every_reader_has_calls_enough_for_all_to_end_together() -> None:
    for readers in (1, 8):
        assert CALLS * readers <= len(calls(20_000, 2, 100_000, readers)) <= 2 * CALLS * readers
    assert set(calls(40, 4, 100_000, 2)) == {1}


def test_containers_of_which_nobody_knows_the_size_go_alone() -> None:
    assert set(calls(1_000, 1, 0)) == {1}
    mixed = [(10, 0), (10, 0), (1, 0), (10, 0), (1, 100), (1, 100)]
    filler = [(1_000, 1 << 20)] * 200
    assert [len(call) for call in bundles(places([*mixed, *filler]), 1)][:3] == [2, 1, 4]
