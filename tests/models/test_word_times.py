"""Words begin and end where their sound does: in order, inside the clip, and apart where it is quiet."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.clock import Clock, Whole
from models.hush import nowhere
from models.word_times import Placed, time_words

CLOCK = Clock(100, 0)
BEFORE, AFTER = Placed((10, 12), (14, 16), 4, 3), Placed((40, 42), (50, 52), 5, 3)


def timed(*words: Placed, quiet: Whole | None = None, samples: int = 8000, reach: int = 10_000) -> list[list[int]]:
    found = time_words(words, CLOCK, nowhere() if quiet is None else quiet, samples=samples, reach=reach)
    return [[int(edge) for edge in word] for word in found]


def quiet(*stretches: tuple[int, int]) -> Whole:
    return np.array(stretches, np.int64)


def test_words_end_and_begin_where_it_is_quiet() -> None:
    stretches = quiet((0, 800), (2000, 3500), (5600, 8000))
    assert timed(BEFORE, AFTER, quiet=stretches) == [[800, 2000], [3500, 5600]]


def test_the_longest_of_several_quiet_stretches_parts_two_words() -> None:
    assert timed(BEFORE, AFTER, quiet=quiet((1700, 1800), (2000, 3500), (3700, 3800))) == [[0, 2000], [3500, 8000]]


def test_quiet_inside_a_word_is_its_own() -> None:
    assert timed(BEFORE, AFTER, quiet=quiet((1200, 1400), (4300, 4900))) == timed(BEFORE, AFTER)


def test_words_that_touch_share_by_what_their_tokens_write() -> None:
    """Of two tokens, one writes a letter and the other three."""
    letter, syllable = Placed((0, 10), (0, 10), 1, 1), Placed((50, 60), (50, 60), 3, 1)
    assert timed(letter, syllable) == [[0, 2000], [2000, 8000]]
    assert timed(letter, letter_at(50)) == [[0, 3000], [3000, 8000]]


def letter_at(frame: int) -> Placed:
    return Placed((frame, frame + 10), (frame, frame + 10), 1, 1)


def test_a_word_reaches_no_further_than_it_may() -> None:
    assert timed(BEFORE, AFTER, reach=300) == [[700, 1900], [3700, 5500]]
    assert timed(BEFORE, AFTER, reach=300, quiet=quiet((2500, 2600))) == [[700, 1900], [3700, 5500]]


def test_quiet_takes_no_more_than_the_outer_half_of_a_token() -> None:
    assert timed(BEFORE, AFTER, quiet=quiet((0, 1300), (1450, 4150), (5000, 8000))) == [[1100, 1500], [4100, 5100]]


def test_no_word_has_no_time() -> None:
    assert timed() == []


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 9), st.integers(0, 30), st.integers(0, 9)), max_size=12),
    st.lists(st.integers(0, 120_000), max_size=12),
    st.integers(-500, 2000),
    st.integers(0, 100_000),
    st.integers(0, 5000),
)
def test_words_are_in_order_and_inside_the_clip(
    spans: list[tuple[int, int, int, int]], edges: list[int], first: int, samples: int, reach: int
) -> None:
    """Even where frames are not, as a decoder's may be."""
    words = [Placed((a, a + n), (a + n + gap, a + n + gap + m), n, max(1, m)) for a, n, gap, m in spans]
    stretches = np.sort(np.array(edges[: len(edges) // 2 * 2], np.int64)).reshape(-1, 2)
    flat = time_words(words, Clock(320, first), stretches, samples=samples, reach=reach).flatten()
    assert (np.diff(flat) >= 0).all()
    assert ((flat >= 0) & (flat <= samples)).all()
