"""The demo's sentences."""

from itertools import islice

from jobs.demo.grammar import held_out_sentences, is_held_out, sentences, training_sentences, vocabulary
from jobs.demo.keywords import KEYWORDS, keywords


def test_a_seed_says_the_same_sentences() -> None:
    assert list(islice(sentences(3), 50)) == list(islice(sentences(3), 50))
    assert list(islice(sentences(3), 50)) != list(islice(sentences(4), 50))


def test_there_are_enough_words() -> None:
    assert len(vocabulary()) >= 150


def test_a_sentence_uses_words_of_the_vocabulary() -> None:
    words = set(vocabulary())
    said = list(islice(sentences(0), 2000))
    assert {word for text in said for word in text.split(" ")} <= words
    assert not [text for text in said if "{" in text or "  " in text]


def test_the_grammar_is_rich() -> None:
    assert len(set(islice(sentences(0), 2000))) > 1200


def test_what_is_held_out_is_never_trained_on() -> None:
    assert not [text for text in islice(training_sentences(0), 2000) if is_held_out(text)]
    assert all(is_held_out(text) for text in islice(held_out_sentences(0), 200))


def test_some_of_everything_is_held_out() -> None:
    said = list(islice(sentences(0), 2000))
    assert 0.08 < sum(map(is_held_out, said)) / len(said) < 0.18


def test_every_keyword_is_a_word_that_is_said() -> None:
    assert set(KEYWORDS) <= set(vocabulary())
    assert set(islice(keywords(0), 400)) == set(KEYWORDS)
