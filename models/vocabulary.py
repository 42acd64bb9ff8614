"""Token ids to text, from the vocabulary files that published checkpoints carry."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import sentencepiece

from models.config import LARGEST, ConfigError, Json, read_json


@dataclass(frozen=True)
class Vocabulary:
    """The pieces that ids stand for."""

    pieces: tuple[str, ...]
    """One per id."""
    space: str
    """What stands for a space inside pieces."""
    silent: frozenset[int]
    """Ids that are never written: the blank, and other special pieces."""
    lower: bool = False
    """Whether text is written in lower case."""

    def text(self, ids: "list[int]") -> str:
        """Token ids, already collapsed, as text."""
        pieces = [self.pieces[i] for i in ids if i not in self.silent and i < len(self.pieces)]
        text = "".join(pieces).replace(self.space, " ").strip()
        return text.lower() if self.lower else text


def read_vocabulary(folder: Path) -> Vocabulary | None:
    """The vocabulary in a checkpoint folder, or None where there is none."""
    if (folder / "vocab.json").is_file():
        return _letters(folder)
    if (folder / "tokenizer.json").is_file():
        return _unigram(read_json(folder / "tokenizer.json"))
    for name in ("spiece.model", "sentencepiece.bpe.model", "tokenizer.model"):
        if (folder / name).is_file():
            return _sentencepiece(folder / name)
    return None


def _letters(folder: Path) -> Vocabulary:
    """A CTC vocabulary: one entry per letter, `|` between words."""
    table = {piece: i for piece, i in read_json(folder / "vocab.json").items() if _is_id(i)}
    if len(table) < len(read_json(folder / "vocab.json")):
        raise ConfigError(["vocab.json gives some tokens an id that is not a whole number"])
    path = folder / "tokenizer_config.json"
    settings = read_json(path) if path.is_file() else {}
    special = [settings.get(name, default) for name, default in SPECIAL.items()]
    names = {str(_content(piece)) for piece in special}
    pieces = [""] * (max(table.values(), default=-1) + 1)
    for piece, i in table.items():
        pieces[i] = piece
    silent = frozenset(i for piece, i in table.items() if piece in names)
    return Vocabulary(
        tuple(pieces),
        str(_content(settings.get("word_delimiter_token")) or "|"),
        silent,
        bool(settings.get("do_lower_case", False)),
    )


SPECIAL = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def _unigram(tokenizer: Json) -> Vocabulary:
    """LASR's tokenizer.json: unigram pieces with ▁ for a space."""
    model, added = tokenizer.get("model"), tokenizer.get("added_tokens")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    try:
        pieces = [str(entry[0]) for entry in vocabulary] if isinstance(vocabulary, list) else []
        special = [entry["id"] for entry in added if entry["special"]] if isinstance(added, list) else []
    except (LookupError, TypeError) as error:
        raise ConfigError(["tokenizer.json lists pieces or added tokens in a way that is not known"]) from error
    return Vocabulary(tuple(pieces), "▁", frozenset(i for i in special if _is_id(i)))


def _sentencepiece(path: Path) -> Vocabulary:
    try:
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (RuntimeError, OSError) as error:
        raise ConfigError([f"{path.name} is cut short or damaged: fetch it again"]) from error
    ids = range(model.get_piece_size())
    silent = frozenset(i for i in ids if model.is_control(i) or model.is_unknown(i))
    return Vocabulary(tuple(model.id_to_piece(i) for i in ids), "▁", silent)


def _is_id(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _content(piece: object) -> object:
    """A special piece is a string, or an object that wraps one."""
    return piece.get("content") if isinstance(piece, dict) else piece
