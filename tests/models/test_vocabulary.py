"""Vocabularies write and read what the reference's tokenizers do, and know which tokens wrote each word."""

import json
import string
from itertools import accumulate, groupby
from pathlib import Path

import pytest
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from models.config import ConfigError
from models.letters import write_letters
from models.spelling import Spelled, Spelling
from models.unigram import write_unigram
from models.vocabulary import Vocabulary, read_vocabulary
from tests.models.tokenizers import KINDS, published

CTC = [kind for kind in KINDS if not kind.startswith("Speech2Text")]
WORDS = [kind for kind in KINDS if kind != "another delimiter"]
ALPHABET = string.ascii_letters + " '|.,é\u00a0ßΣ-_" + "ʃəaɪ▁"


def ours(kind: str) -> Vocabulary:
    vocabulary = read_vocabulary(published(kind).folder)
    assert vocabulary is not None
    return vocabulary


def frames(kind: str) -> st.SearchStrategy[list[int]]:
    """The best class of successive frames."""
    known = list(published(kind).reference.get_vocab().values())
    return st.lists(st.sampled_from(known), min_size=1, max_size=30).flatmap(
        lambda ids: st.lists(st.integers(1, 2), min_size=len(ids), max_size=len(ids)).map(
            lambda times: [i for i, n in zip(ids, times, strict=True) for _ in range(n)]
        )
    )


def collapsed(ids: list[int]) -> list[int]:
    return [i for i, _ in groupby(ids)]


@pytest.mark.parametrize("kind", CTC)
def test_frames_read_as_the_reference_reads_them(kind: str) -> None:
    vocabulary, reference = ours(kind), published(kind).reference

    @settings(max_examples=60, deadline=None)
    @given(frames(kind))
    def check(ids: list[int]) -> None:
        assert vocabulary.literal(collapsed(ids)) == reference.batch_decode([ids])[0]

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_can_be_left_out_as_the_reference_leaves_them_out(kind: str) -> None:
    vocabulary, reference = ours(kind), published(kind).reference
    grouped = {"group_tokens": False} if kind in CTC else {}

    @settings(max_examples=60, deadline=None)
    @given(frames(kind))
    def check(ids: list[int]) -> None:
        assert vocabulary.text(ids) == reference.batch_decode([ids], skip_special_tokens=True, **grouped)[0]

    check()


@pytest.mark.parametrize("pieces", [["▁", "▁again", "▁"], ["▁cat", "▁"], ["</s>", "▁cat", "<unk>", "a", "</s>"]])
def test_spaces_at_the_edges_and_beside_special_tokens_are_the_references(pieces: list[str]) -> None:
    vocabulary, reference = (of("LASR's sentencepiece model") for of in (ours, lambda kind: published(kind).reference))
    ids = [reference.get_vocab()[piece] for piece in pieces]
    assert vocabulary.literal(ids) == reference.decode(ids)
    assert vocabulary.text(ids) == reference.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in CTC])
def test_a_decoders_tokens_read_as_the_reference_reads_them(kind: str) -> None:
    vocabulary, reference = ours(kind), published(kind).reference

    @settings(max_examples=60, deadline=None)
    @given(frames(kind))
    def check(ids: list[int]) -> None:
        assert vocabulary.literal(ids) == reference.batch_decode([ids])[0]

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_has_the_references_tokens(kind: str) -> None:
    vocabulary, reference = ours(kind), published(kind).reference
    specials = [token for token in reference.all_special_tokens if token != "|"]
    words = st.text(ALPHABET, max_size=8) | st.sampled_from([*specials, "the", "a", "cat", "sch", "tʃ", "|", "aɪ"])

    @settings(max_examples=80, deadline=None)
    @given(st.lists(words, max_size=8), st.sampled_from(["", " ", "  "]))
    def check(words: list[str], between: str) -> None:
        text = between.join(words)
        if "sentencepiece model" in kind:
            text = "".join(c for c in text if c in "acdeghilmnorstwà ")  # what the model has pieces for
        read = text.lower() if kind == "Speech2Text" else text
        assert vocabulary.ids(text) == reference(read).input_ids

    check()


@pytest.mark.parametrize("kind", WORDS)
def test_words_are_the_text_and_know_their_tokens(kind: str) -> None:
    vocabulary = ours(kind)

    @settings(max_examples=80, deadline=None)
    @given(frames(kind))
    def check(ids: list[int]) -> None:
        words = vocabulary.words(ids)
        if "bytes" not in kind:  # half a character is written as the engine pleases
            assert " ".join(word.text for word in words) == " ".join(vocabulary.text(ids).split())
        edges = [edge for word in words for edge in (word.first, word.last)]
        assert all(word.first < word.last for word in words)
        assert edges == sorted(edges) or kind.startswith(("LASR", "Speech2Text"))  # a piece may hold a word's edge
        if not kind.startswith("phonemes") and "bytes" not in kind:
            for word in words:
                alone = vocabulary.text(ids[word.first : word.last])
                assert word.text in alone

    check()


@pytest.mark.parametrize("kind", WORDS)
def test_what_a_word_is_spelled_with_reads_as_the_word(kind: str) -> None:
    vocabulary = ours(kind)
    for spelling in vocabulary.spell("a cat THE ab né"):
        read = vocabulary.text(spelling.ids)
        if not spelling.missing:
            assert read.lower() == spelling.word.lower()
        assert len(spelling.missing) <= len(spelling.word)


def test_a_word_is_spelled_in_the_case_that_the_letters_have() -> None:
    spelled = ours("upper case letters").spell("Cat's 9 née")
    letters = json.loads((published("upper case letters").folder / "vocab.json").read_text())
    assert spelled[0] == Spelling("Cat's", tuple(letters[c] for c in "CAT'S"), "")
    assert spelled[1] == Spelling("9", (), "9")
    assert spelled[2].missing == "É"
    assert ours("upper case letters").delimiter == letters["|"]


def test_special_tokens_in_a_text_are_no_sounds() -> None:
    assert ours("upper case letters").spell("A|T")[0].missing == "|"


def test_words_between_phonemes_are_found_where_they_are_marked() -> None:
    ids = [4, 6, 10, 10, 7, 5, 10]
    assert ours("phonemes with words").words(ids) == [Spelled("n tʃ", 0, 2), Spelled("aɪ s", 4, 6)]
    assert [word.text for word in ours("phonemes").words([4, 6, 7])] == ["n", "tʃ", "aɪ"]


def test_the_bytes_of_a_character_are_one_words_tokens() -> None:
    vocabulary = ours("Speech2Text in bytes")
    for text in ("日本 the語", "ü the cat é"):
        spelled = vocabulary.spell(text)
        ids = [i for spelling in spelled for i in spelling.ids]
        words = vocabulary.words(ids)
        assert [word.text for word in words] == text.split()
        assert [vocabulary.text(ids[word.first : word.last]) for word in words] == text.split()
        assert [word.last for word in words] == list(accumulate(len(spelling.ids) for spelling in spelled))


def test_letters_are_written_for_the_reference_and_for_us(tmp_path: Path) -> None:
    write_letters("ab'", tmp_path)
    vocabulary = read_vocabulary(tmp_path)
    reference = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert isinstance(reference, transformers.Wav2Vec2CTCTokenizer)
    assert vocabulary is not None
    assert vocabulary.ids("ab b'a") == reference("ab b'a").input_ids
    assert vocabulary.text(vocabulary.ids("ab b'a")) == "ab b'a"
    assert (reference.pad_token_id, vocabulary.surface(0)) == (0, "")


def test_pieces_are_written_for_the_reference_and_for_us(tmp_path: Path) -> None:
    write_unigram([("a", -1.0), ("▁ab", -2.0), ("b", -1.5)], tmp_path)
    vocabulary = read_vocabulary(tmp_path)
    reference = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert isinstance(reference, transformers.LasrTokenizer)
    assert vocabulary is not None
    assert vocabulary.ids("ab ba") == reference("ab ba").input_ids == [5, 3, 6, 4, 1]
    assert vocabulary.text(vocabulary.ids("ab ba")) == "ab ba"


def test_spaces_taken_away_join_words() -> None:
    ids = [3, 2, 5, 8, 2, 6, 2, 4]  # a|'m|.|b
    assert ours("files of older days").words([3, 2, 5, 8, 2, 6, 2, 4]) == [Spelled("a'm.", 0, 6), Spelled("b", 7, 8)]
    assert ours("files of older days").text(ids) == "a'm. b"


def test_languages_are_known_by_their_codes() -> None:
    vocabulary = ours("Speech2Text in languages")
    assert list(vocabulary.languages) == ["pt", "fr", "ru", "nl", "ro", "it", "es", "de"]
    assert vocabulary.languages == published("Speech2Text in languages").reference.lang_code_to_id
    assert vocabulary.text([vocabulary.languages["fr"]]) == ""
    assert ours("Speech2Text").languages == {}


DAMAGED = {
    "an id that is a word": ({"vocab.json": {"a": "one"}}, "vocab.json gives some tokens an id that is not a whole"),
    "no token": ({"vocab.json": {}}, "vocab.json lists no token"),
    "no language chosen": (
        {"vocab.json": {"eng": {"a": 1}, "deu": {"a": 1}}},
        "target_lang is None, but vocab.json has one vocabulary for each of deu, eng",
    ),
    "a language that is not there": (
        {"vocab.json": {"eng": {"a": 1}}, "tokenizer_config.json": {"target_lang": "fra"}},
        "target_lang is 'fra', but vocab.json has one vocabulary for each of eng",
    ),
    "a language of a vocabulary": (
        {"vocab.json": {"eng": 1}, "tokenizer_config.json": {"target_lang": "eng"}},
        "vocab.json is one vocabulary, but",
    ),
    "a switch that is a word": (
        {"vocab.json": {"a": 1}, "tokenizer_config.json": {"do_lower_case": "yes"}},
        "do_lower_case is 'yes'; true or false is needed",
    ),
    "an added token without a name": (
        {"vocab.json": {"a": 1}, "tokenizer_config.json": {"added_tokens_decoder": {"7": {}}}},
        "added_tokens_decoder has '7'",
    ),
    "another kind of tokenizer": (
        {"tokenizer.json": {"model": {"type": "BPE", "vocab": {}}}},
        "the model's type is 'BPE'; only 'Unigram' is supported",
    ),
    "pieces without scores": ({"tokenizer.json": {"model": {"vocab": [["a"]]}}}, "lists pieces or added tokens in a"),
    "no piece": ({"tokenizer.json": {"model": {"vocab": []}}}, "tokenizer.json lists no piece"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_named(damage: str, tmp_path: Path) -> None:
    files, said = DAMAGED[damage]
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(ConfigError) as caught:
        read_vocabulary(tmp_path)
    assert said in str(caught.value)


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    whole = (published("LASR's sentencepiece model").folder / "spiece.model").read_bytes()
    (tmp_path / "spiece.model").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"spiece.model is cut short or damaged"):
        read_vocabulary(tmp_path)


def test_a_translation_target_that_is_not_there_is_named(tmp_path: Path) -> None:
    folder = published("Speech2Text in languages").folder
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tgt_lang": "xx"}))
    with pytest.raises(ConfigError, match=r"tgt_lang is 'xx', but vocab.json has de, es, fr, it, nl, pt, ro, ru"):
        read_vocabulary(tmp_path)


def test_a_folder_without_a_vocabulary_has_none(tmp_path: Path) -> None:
    assert read_vocabulary(tmp_path) is None
