"""A text against its reference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import scoring
from pipeline.scoring import Edits, count_edits, letter_edits, normalise, pair, sum_edits, word_edits

WORDS = st.lists(st.sampled_from("abc"), max_size=7)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Hello,  World!", "hello world"),
        ("DON'T  don\u2019t", "dont dont"),
        ("Straße", "strasse"),
        ("\uff46\uff55\uff4c\uff4c\u3000wide", "full wide"),
        ("well-known — 42%", "well known 42"),
        ("café", "café"),
        ("हिन्दी।", "हिन्दी"),
        ("...", ""),
    ],
)
def test_a_text_is_normalised_by_the_stated_rule(text: str, normal: str) -> None:
    assert normalise(text) == normal


@given(st.text(max_size=30))
def test_what_is_normal_stays_as_it_is(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    ("reference", "reading", "edits"),
    [
        ("the cat sat", "the cat sat", Edits(0, 0, 0, 3)),
        ("the cat sat", "The cat, sat.", Edits(0, 0, 0, 3)),
        ("the cat sat", "the bat sat", Edits(1, 0, 0, 3)),
        ("the cat sat", "the sat", Edits(0, 1, 0, 3)),
        ("the cat sat", "the cat sat down", Edits(0, 0, 1, 3)),
        ("the cat sat on", "a the cat on it", Edits(2, 0, 1, 4)),
        ("", "so", Edits(0, 0, 1, 0)),
        ("so", "", Edits(0, 1, 0, 1)),
    ],
)
def test_changes_of_words_are_counted_by_kind(reference: str, reading: str, edits: Edits) -> None:
    assert word_edits(reference, reading) == edits


def test_letters_count_the_spaces_between_words() -> None:
    assert letter_edits("a bc", "abc") == Edits(0, 1, 0, 4)
    assert letter_edits("kitten", "sitting") == Edits(2, 0, 1, 6)


def _fewest(reference: list[str], reading: list[str]) -> int:
    if not reference or not reading:
        return len(reference) + len(reading)
    if reference[-1] == reading[-1]:
        return _fewest(reference[:-1], reading[:-1])
    shorter = (reference[:-1], reading), (reference, reading[:-1]), (reference[:-1], reading[:-1])
    return 1 + min(_fewest(*sides) for sides in shorter)


@given(WORDS, WORDS)
def test_no_fewer_changes_would_do(reference: list[str], reading: list[str]) -> None:
    edits = count_edits(reference, reading)
    assert edits.total == _fewest(reference, reading)
    assert len(reference) - edits.deletions + edits.insertions == len(reading)


@given(WORDS, WORDS)
def test_among_equals_the_most_substitutions_are_counted(reference: list[str], reading: list[str]) -> None:
    pairs = pair(reference, reading)
    substituted = sum(i is not None and j is not None and reference[i] != reading[j] for i, j in pairs)
    assert count_edits(reference, reading).substitutions >= substituted


@given(st.lists(st.sampled_from("abc"), max_size=30), st.lists(st.sampled_from("abc"), max_size=30))
def test_pairs_cut_in_parts_are_as_few_changes(reference: list[str], reading: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "CELLS", 8)
        pairs = pair(reference, reading)
    changes = sum(i is None or j is None or reference[i] != reading[j] for i, j in pairs)
    assert changes == count_edits(reference, reading).total
    assert [i for i, _ in pairs if i is not None] == list(range(len(reference)))
    assert [j for _, j in pairs if j is not None] == list(range(len(reading)))


@given(WORDS, WORDS)
def test_every_item_is_paired_once_and_in_order(reference: list[str], reading: list[str]) -> None:
    pairs = pair(reference, reading)
    assert [i for i, _ in pairs if i is not None] == list(range(len(reference)))
    assert [j for _, j in pairs if j is not None] == list(range(len(reading)))


def test_a_corpus_is_scored_by_all_its_words_together() -> None:
    total = sum_edits([word_edits("a b c d", "a b c d"), word_edits("a", "b")])
    assert total == Edits(1, 0, 0, 5)
    assert total.rate == 0.2


def test_what_is_read_where_nothing_was_said_has_an_infinite_rate() -> None:
    assert word_edits("", "so").rate == float("inf")
    assert word_edits("", "").rate == 0.0
