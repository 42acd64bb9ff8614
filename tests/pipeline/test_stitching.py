"""Words of pieces become the words of the whole, each once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.stitching import Making, Piece, Word, joined, stitched

MAKING = Making("model", "run", 100)


def piece(core: tuple[int, int], *words: Word, total: int = 1000) -> Piece:
    return Piece(core, total, " ".join(word.text for word in words), words, {}, 1.0)


def test_a_word_belongs_to_the_piece_its_middle_lies_in() -> None:
    left = piece((0, 500), Word("a", 100, 200, 1), Word("b", 520, 580, 1))
    right = piece((500, 1000), Word("a", 450, 490, 1), Word("b", 522, 582, 1), Word("c", 700, 800, 1))
    assert [word.text for word in joined([left, right])] == ["a", "b", "c"]


def test_a_word_on_the_edge_that_both_claim_is_taken_once() -> None:
    left = piece((0, 500), Word("edge", 440, 555, 0.9))
    right = piece((500, 1000), Word("edge", 445, 560, 0.9), Word("after", 700, 800, 1))
    assert [word.text for word in joined([left, right])] == ["edge", "after"]


def test_of_a_word_on_the_edge_that_is_spelt_twice_the_surer_is_taken() -> None:
    for sure, unsure in ((0.9, 0.6), (0.6, 0.9)):
        left = piece((0, 500), Word("before", 100, 200, 1), Word("their", 440, 555, sure))
        right = piece((500, 1000), Word("there", 445, 560, unsure), Word("after", 700, 800, 1))
        heard = "their" if sure > unsure else "there"
        assert [word.text for word in joined([left, right])] == ["before", heard, "after"]


def test_a_word_on_the_edge_that_neither_claims_is_not_lost() -> None:
    left = piece((0, 500), Word("before", 100, 200, 1), Word("edge", 445, 560, 0.7))
    right = piece((500, 1000), Word("edge", 440, 555, 0.9), Word("after", 700, 800, 1))
    assert [word.text for word in joined([left, right])] == ["before", "edge", "after"]


def test_the_same_word_said_twice_at_an_edge_stays_twice() -> None:
    left = piece((0, 500), Word("very", 400, 480, 1))
    right = piece((500, 1000), Word("very", 520, 600, 1))
    assert [word.text for word in joined([left, right])] == ["very", "very"]


def test_pauses_part_segments_and_times_are_divided_once() -> None:
    row = stitched([piece((0, 1000), Word("a", 0, 50, 0.5), Word("b", 60, 90, 1), Word("c", 300, 333, 0.25))], MAKING)
    segments = row["segments"]
    assert isinstance(segments, list)
    assert [(each["text"], each["start"], each["end"]) for each in segments] == [("a b", 0.0, 0.9), ("c", 3.0, 3.33)]
    assert row["status"] == "ok"
    assert row["seconds"] == 10.0


def test_nothing_said_is_empty_and_not_failed() -> None:
    row = stitched([piece((0, 1000))], MAKING)
    assert (row["status"], row["text"], row["segments"]) == ("empty", "", [])


RATTLE = 5
"""Samples by which two pieces may hear an edge of the same word apart, either way."""
CONTEXT = 250
"""Samples that a piece hears on each side of its core: more than the longest word."""


@st.composite
def twice_heard(draw: st.DrawFn) -> tuple[list[Word], list[Piece]]:
    """Words, and pieces cut anywhere between and through them, each of which hears every word a little differently."""
    words, end = [], 0
    for text, pause, length in draw(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 300), LENGTHS))):
        words.append(Word(text, end + pause, end + pause + length, 1))
        end += pause + length
    total = end + CONTEXT
    cuts = sorted(draw(st.sets(st.integers(1, total - 1), max_size=5)))
    cores = list(zip([0, *cuts], [*cuts, total], strict=True))
    return words, [piece(core, *heard_in(core, words, draw), total=total) for core in cores]


def heard_in(core: tuple[int, int], words: list[Word], draw: st.DrawFn) -> list[Word]:
    inside = [word for word in words if core[0] - CONTEXT <= word.start and word.end <= core[1] + CONTEXT]
    rattle, sure = st.integers(-RATTLE, RATTLE), st.sampled_from([0.5, 1.0])
    moved = [(draw(rattle), draw(rattle), draw(st.sampled_from([str.upper, str.lower])), draw(sure)) for _ in inside]
    return [
        Word(spelt(word.text), word.start + first, word.end + last, confidence)
        for word, (first, last, spelt, confidence) in zip(inside, moved, strict=True)
    ]


LENGTHS = st.integers(8 * RATTLE, CONTEXT - RATTLE)


@settings(max_examples=500, deadline=None)
@given(twice_heard())
def test_every_word_is_there_once_however_it_rattles_and_is_spelt(heard: tuple[list[Word], list[Piece]]) -> None:
    words, pieces = heard
    found = joined(pieces)
    assert [word.text.lower() for word in found] == [word.text for word in words]
    for word, true in zip(found, words, strict=True):
        assert max(abs(word.start - true.start), abs(word.end - true.end)) <= RATTLE
