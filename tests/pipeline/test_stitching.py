"""Words of pieces become the words of the whole, each once."""

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
