"""Language models agree with KenLM, whichever file they come from; a file that is none is told in words."""

import math
from pathlib import Path

import kenlm
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import language_model
from models.kenlm_binary import KenlmBinary
from models.language_model import LanguageModel, LanguageModelError, Lookup, load_language_model, name

KENLM = Path(__file__).parent / "fixtures" / "kenlm"
"""ARPA files, and what `build_binary` of KenLM 0.3.0 makes of them: `build_binary trie cats.arpa cats.trie`.

One lists no words: `build_binary -v probing cased.arpa cased-unlisted.probing`.
"""
ARPA = (KENLM / "cats.arpa").read_text()
CUT_SHORT = (KENLM / "cats.trie").read_bytes()[:300]
CUT_IN_ITS_LIST = (KENLM / "cats.trie").read_bytes()[:-3]
WORDS = st.lists(st.sampled_from(["the", "cat", "sat", "dog", "the"]), max_size=8)
PLAIN, MIXED = ["us", "may", "will", "o'neil", "dog"], ["mcdonald", "iphone"]
"""The words of `cased.arpa` and another: those in cases that most words have, and those that mix them."""


def log_probability(model: LanguageModel, words: list[str]) -> float:
    """Of a whole sentence, the end included."""
    context, total = torch.tensor([[model.start]]), 0.0
    for word in words:
        if model.spelled is not None:
            model.spelled[name(word)] = word.lower()
        likely, context = model.score(context, torch.tensor([[name(word)]]))
        total += float(likely)
    return total + float(model.end(context))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lm") / "cats.arpa"
    path.write_text(ARPA)
    return path


def test_an_arpa_file_says_what_kenlm_says(path: Path) -> None:
    ours, reference = load_language_model(path), kenlm.Model(str(path))

    @settings(max_examples=60, deadline=None)
    @given(WORDS)
    def check(words: list[str]) -> None:
        wanted = reference.score(" ".join(words)) * math.log(10)
        assert log_probability(ours, words) == pytest.approx(wanted, abs=1e-5)

    check()


@pytest.mark.parametrize("kind", ["probing", "trie"])
def test_a_kenlm_binary_says_what_its_arpa_file_says(kind: str) -> None:
    content = (KENLM / f"cats.{kind}").read_bytes()
    assert content.startswith(language_model.BINARY)
    ours, binary = load_language_model(KENLM / "cats.arpa"), load_language_model(KENLM / f"cats.{kind}")
    for words in (["the", "cat", "sat"], ["cat", "dog", "the", "the"], ["SAT", "Cat"], []):
        assert log_probability(binary, words) == pytest.approx(log_probability(ours, words), abs=1e-5)


@pytest.mark.parametrize(
    ("file", "words"),
    [("cased.probing", PLAIN + MIXED), ("cased.trie", PLAIN + MIXED), ("cased-unlisted.probing", PLAIN)],
)
def test_a_kenlm_binary_and_its_arpa_file_hear_the_same_word_in_many_cases(file: str, words: list[str]) -> None:
    ours, binary = load_language_model(KENLM / "cased.arpa"), load_language_model(KENLM / file)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.sampled_from(words + [word.upper() for word in words]), max_size=8))
    def check(words: list[str]) -> None:
        assert log_probability(binary, words) == pytest.approx(log_probability(ours, words), abs=1e-5)

    check()


@pytest.mark.parametrize("file", ["cased.arpa", "cased.probing", "cased.trie", "cased-unlisted.probing"])
def test_of_words_that_only_their_case_tells_apart_the_likeliest_counts(file: str) -> None:
    """Of `Will` and `WILL`, which are as likely, the first by the alphabet."""
    reference, model = kenlm.Model(str(KENLM / "cased.arpa")), load_language_model(KENLM / file)
    for said, known in (("us may", "US may"), ("will us", "WILL US"), ("o'neil will", "O'Neil WILL")):
        wanted = reference.score(known) * math.log(10)
        assert log_probability(model, said.split()) == pytest.approx(wanted, abs=1e-5)


def test_a_binary_that_lists_no_words_does_not_know_those_that_mix_cases() -> None:
    unlisted, listed = (load_language_model(KENLM / f"cased{form}.probing") for form in ("-unlisted", ""))
    assert log_probability(unlisted, ["McDonald"]) == log_probability(listed, ["dog"])
    assert log_probability(unlisted, ["McDonald"]) < log_probability(listed, ["McDonald"])


def test_contexts_that_a_kenlm_binary_does_not_tell_apart_are_one() -> None:
    """A model of pairs of words remembers one, whatever came before."""
    binary = load_language_model(KENLM / "small.probing")
    assert isinstance(binary, KenlmBinary)
    context = torch.tensor([[binary.start]])
    for word in 20 * ["a", "ab", "dog", "ab", "mat"]:
        _, context = binary.score(context, torch.tensor([[name(word)]]))
    assert len(binary.states) <= len(["<s>", "a", "ab", "unknown"])
    assert len(binary.known) <= 4 * 3


def test_words_are_known_whatever_their_case(path: Path) -> None:
    model = load_language_model(path)
    assert log_probability(model, ["THE", "Cat"]) == log_probability(model, ["the", "cat"])
    assert log_probability(model, ["the", "dog"]) < log_probability(model, ["the", "cat"])


def test_tables_are_moved_to_a_device_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices of the kind `meta` are everywhere, and hold nothing."""
    model, move, moved = load_language_model(path), Lookup.to, []

    def counted(table: Lookup, device: torch.device) -> Lookup:
        moved.append(device)
        return move(table, device)

    monkeypatch.setattr(Lookup, "to", counted)
    for _ in range(5):
        likely, contexts = model.score(
            torch.zeros(2, 2, dtype=torch.long, device="meta"), torch.zeros(2, dtype=torch.long, device="meta")
        )
        assert model.end(contexts).device == likely.device == torch.device("meta")
    assert len(moved) == 4, "the words and three orders"


def test_a_model_without_an_unknown_word_has_one_that_is_least_likely(tmp_path: Path) -> None:
    lines = [line for line in ARPA.splitlines() if "<unk>" not in line]
    (tmp_path / "lm.arpa").write_text("\n".join(lines).replace("ngram 1=6", "ngram 1=5"))
    model = load_language_model(tmp_path / "lm.arpa")
    assert log_probability(model, ["dog"]) < log_probability(model, ["sat"])


def test_a_space_that_does_not_break_is_part_of_a_word(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text(ARPA.replace("cat", "c\u00a0at"))
    ours, reference = load_language_model(tmp_path / "lm.arpa"), kenlm.Model(str(tmp_path / "lm.arpa"))
    wanted = reference.score("the c\u00a0at sat") * math.log(10)
    assert log_probability(ours, ["the", "c\u00a0at", "sat"]) == pytest.approx(wanted, abs=1e-5)


DAMAGED = {
    "text": ("hello\nworld\n", "it does not end in"),
    "cut short": (ARPA[: ARPA.index("\\3-grams")], "it does not end in"),
    "no words": ("\\data\\\n\\end\\\n", "it has no .1-grams: section"),
    "no beginning": (ARPA.replace("<s>", "<t>"), "has no <s> among its words"),
    "a word too many": (ARPA.replace("the cat sat", "the cat sat mat mat"), "line 22 is no 3-gram"),
    "no number": (ARPA.replace("-0.9", "nine"), "line 10 is no 1-gram"),
    "a number that is none": (ARPA.replace("-0.9", "nan"), "line 10 is no 1-gram"),
    "sections out of order": (ARPA.replace("\\2-grams", "\\4-grams"), "is expected"),
    "a word of no 1-gram": (ARPA.replace("-0.6\tcat sat", "-0.6\tcat mat"), "n-grams with 'mat', which is no 1-gram"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_file_that_is_no_language_model_is_told(damage: str, tmp_path: Path) -> None:
    content, said = DAMAGED[damage]
    (tmp_path / "lm.arpa").write_text(content)
    with pytest.raises(LanguageModelError, match=said) as caught:
        load_language_model(tmp_path / "lm.arpa")
    assert str(tmp_path / "lm.arpa") in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LanguageModelError, match=r"cannot be read \(No such file"):
        load_language_model(tmp_path / "lm.arpa")


@pytest.mark.parametrize(
    "content",
    [language_model.BINARY + b" version 5\n" + b"x" * 10, CUT_SHORT, CUT_IN_ITS_LIST],
    ids=["damaged", "cut short", "cut in the list of its words"],
)
def test_a_binary_that_is_damaged_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "lm.bin").write_bytes(content)
    with pytest.raises(LanguageModelError, match="cut short or damaged"):
        load_language_model(tmp_path / "lm.bin")


def test_without_kenlm_a_binary_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lm.bin").write_bytes(language_model.BINARY)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(LanguageModelError, match=r"pip install -e '\.\[lm\]'"):
        load_language_model(tmp_path / "lm.bin")
