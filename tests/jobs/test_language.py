"""The demo's language model: a valid ARPA file whose probabilities add up."""

import math
from itertools import product
from pathlib import Path

import kenlm
import pytest

from jobs.demo.language import write_language_model

SENTENCES = ["the cat sat", "the dog sat", "a cat saw the dog", "the cat", "a a"]
WORDS = ["the", "cat", "sat", "dog", "a", "saw", "</s>", "elephant"]


@pytest.fixture(params=[2, 3, 4])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> kenlm.Model:
    write_language_model(SENTENCES, tmp_path / "cats.arpa", order=request.param)
    return kenlm.Model(str(tmp_path / "cats.arpa"))


def test_what_may_follow_adds_up_to_one(model: kenlm.Model) -> None:
    for history in [(), *product(WORDS[:6], repeat=1), *product(WORDS[:6], repeat=2), ("elephant", "the")]:
        state, after = kenlm.State(), kenlm.State()
        model.BeginSentenceWrite(state)
        for word in history:
            model.BaseScore(state, word, after)
            state, after = after, state
        assert sum(10 ** model.BaseScore(state, word, kenlm.State()) for word in WORDS) == pytest.approx(1, abs=1e-4)


def test_sentences_like_those_it_saw_are_likelier(model: kenlm.Model) -> None:
    assert model.score("the cat sat") > model.score("cat the sat")
    assert model.score("the cat sat") > model.score("the elephant sat")


def test_probabilities_are_those_of_the_textbook(tmp_path: Path) -> None:
    write_language_model(["a b", "a a"], tmp_path / "ab.arpa", order=2, discount=0.5)
    model = kenlm.Model(str(tmp_path / "ab.arpa"))
    one = {word: (count - 0.5) / 6 + (3 * 0.5 / 6) / 4 for word, count in {"a": 3, "b": 1, "</s>": 2}.items()}
    after_begin = (2 - 0.5) / 2 + (0.5 / 2) * one["a"]  # always a
    b_after_a = (1 - 0.5) / 3 + (3 * 0.5 / 3) * one["b"]
    end_after_b = (1 - 0.5) / 1 + 0.5 * one["</s>"]
    assert model.score("a b") == pytest.approx(math.log10(after_begin * b_after_a * end_after_b), abs=1e-5)


@pytest.mark.parametrize(("sentences", "order", "said"), [([], 2, "at least one sentence"), (["a"], 1, "order is 1")])
def test_what_cannot_be_estimated_is_said(sentences: list[str], order: int, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        write_language_model(sentences, tmp_path / "x.arpa", order=order)
