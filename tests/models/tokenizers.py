"""Small vocabularies of every published kind, each in a folder beside the reference tokenizer that reads it."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import sentencepiece
import transformers
from transformers import PreTrainedTokenizerBase

FOLDERS = TemporaryDirectory()
SENTENCES = ("the cat sat on the mat", "a dog and a cat", "hello world again and again", "né à orléans, l'été!")
LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLU'MWCFGYPBVKXJQZ"]
UNIGRAM = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), ("▁the", -1.5), ("▁a", -2.0), ("a", -3.0)]
UNIGRAM += [("b", -3.1), ("ab", -2.5), ("c", -4.0), ("t", -4.0), ("h", -4.0), ("e", -3.7), ("cat", -3.3), ("▁▁", -6.0)]


@dataclass(frozen=True)
class Published:
    """A vocabulary's folder, and who else reads it."""

    folder: Path
    reference: PreTrainedTokenizerBase
    size: int
    """Ids below this are tokens."""


def _write(folder: Path, files: Mapping[str, object]) -> None:
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _numbered(tokens: list[str]) -> dict[str, int]:
    return {token: i for i, token in enumerate(tokens)}


def _ctc(files: Mapping[str, object]) -> Callable[[Path], PreTrainedTokenizerBase]:
    def make(folder: Path) -> PreTrainedTokenizerBase:
        _write(folder, files)
        return transformers.Wav2Vec2CTCTokenizer.from_pretrained(folder)

    return make


def _delimited(files: Mapping[str, object], **settings: str | bool) -> Callable[[Path], PreTrainedTokenizerBase]:
    """The reference loses another word delimiter when it reads a folder: so it is told."""

    def make(folder: Path) -> PreTrainedTokenizerBase:
        _write(folder, {**files, "tokenizer_config.json": settings})
        return transformers.Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), **settings)

    return make


def _phonemes(settings: Mapping[str, object]) -> Callable[[Path], PreTrainedTokenizerBase]:
    def make(folder: Path) -> PreTrainedTokenizerBase:
        tokens = ["<pad>", "<s>", "</s>", "<unk>", "n", "s", "tʃ", "aɪ", "ə", "l", "|", "ɔː"]
        said = {"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer", "do_phonemize": False, **settings}
        _write(folder, {"vocab.json": _numbered(tokens), "tokenizer_config.json": said})
        return transformers.Wav2Vec2PhonemeCTCTokenizer.from_pretrained(folder)

    return make


def _lasr(extra: int) -> Callable[[Path], PreTrainedTokenizerBase]:
    def make(folder: Path) -> PreTrainedTokenizerBase:
        transformers.LasrTokenizer(vocab=UNIGRAM, extra_ids=extra).save_pretrained(folder)
        return transformers.LasrTokenizer.from_pretrained(folder)

    return make


def trained(path: Path, **settings: object) -> None:
    """Write a small sentencepiece model."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 20), model_writer=model, minloglevel=2, **settings
    )
    path.write_bytes(model.getvalue())


def _lasr_model(folder: Path) -> PreTrainedTokenizerBase:
    ids = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    trained(folder / "spiece.model", vocab_size=32, **ids)
    _write(folder, {"tokenizer_config.json": {"tokenizer_class": "LasrTokenizer", "extra_ids": 0}})
    return transformers.LasrTokenizer.from_pretrained(folder)


def _speech2text(
    settings: Mapping[str, object], languages: list[str], **training: object
) -> Callable[[Path], PreTrainedTokenizerBase]:
    def make(folder: Path) -> PreTrainedTokenizerBase:
        codes = [f"<lang:{code}>" for code in languages]
        model = folder / "sentencepiece.bpe.model"
        ids = {"bos_id": 0, "pad_id": 1, "eos_id": 2, "unk_id": 3}
        trained(model, **{"vocab_size": 33, "model_type": "unigram", "user_defined_symbols": codes, **ids, **training})
        engine = sentencepiece.SentencePieceProcessor(model_file=str(model))
        vocabulary = {engine.id_to_piece(i): i for i in range(engine.get_piece_size())} | {"madeupword0000": 300}
        _write(folder, {"vocab.json": vocabulary, "tokenizer_config.json": dict(settings)})
        return transformers.Speech2TextTokenizer.from_pretrained(folder)

    return make


MUSTC = ["pt", "fr", "ru", "nl", "ro", "it", "es", "de"]
ADDED = {"content": "<ctx>", "lstrip": False, "rstrip": False, "normalized": False, "special": True}
KINDS: Mapping[str, Callable[[Path], PreTrainedTokenizerBase]] = {
    "upper case letters": _ctc({"vocab.json": _numbered(LETTERS)}),
    "lower case on both sides": _ctc(
        {"vocab.json": _numbered(LETTERS), "tokenizer_config.json": {"do_lower_case": True}}
    ),
    "lower case letters and clusters": _delimited(
        {"vocab.json": _numbered(["[PAD]", "[UNK]", *"abcdefghij -é", "sc", "sch", "ng"])},
        pad_token="[PAD]",
        unk_token="[UNK]",
        word_delimiter_token=" ",
        clean_up_tokenization_spaces=True,
    ),
    "files of older days": _ctc(
        {
            "vocab.json": _numbered(["[PAD]", "[UNK]", "|", *"ab'.,mns"]),
            "tokenizer_config.json": {"clean_up_tokenization_spaces": True},
            "special_tokens_map.json": {"pad_token": {"content": "[PAD]", "lstrip": False}, "unk_token": "[UNK]"},
            "added_tokens.json": {"<s>": 10, "</s>": 11, "<noise>": 12},
        }
    ),
    "added tokens listed": _ctc(
        {
            "vocab.json": _numbered(LETTERS[:1] + LETTERS[3:]),
            "tokenizer_config.json": {"added_tokens_decoder": {"40": ADDED}, "extra_special_tokens": ["<ctx>"]},
        }
    ),
    "one of several languages": _ctc(
        {
            "vocab.json": {"eng": _numbered(LETTERS), "abc": _numbered(["<pad>", "|", "x", "<unk>"])},
            "tokenizer_config.json": {"target_lang": "eng"},
        }
    ),
    "another delimiter": _delimited(
        {"vocab.json": _numbered(["<pad>", "<unk>", "_", *"abc", "|"])},
        word_delimiter_token="_",
        replace_word_delimiter_char="-",
    ),
    "phonemes": _phonemes({}),
    "phonemes with words": _phonemes({"word_delimiter_token": "|"}),
    "LASR's tokenizer.json": _lasr(0),
    "LASR's tokenizer.json with extra ids": _lasr(3),
    "LASR's sentencepiece model": _lasr_model,
    "Speech2Text": _speech2text({"do_lower_case": True}, []),
    "Speech2Text in upper case": _speech2text({"do_upper_case": True}, []),
    "Speech2Text in bytes": _speech2text({}, [], vocab_size=289, byte_fallback=True),
    "Speech2Text in languages": _speech2text({"lang_codes": "mustc", "tgt_lang": "fr"}, MUSTC, vocab_size=41),
}


@cache
def published(kind: str) -> Published:
    """The vocabulary of a kind, written once."""
    folder = Path(FOLDERS.name) / kind.replace(" ", "_")
    folder.mkdir(exist_ok=True)
    reference = KINDS[kind](folder)
    return Published(folder, reference, len(reference))
