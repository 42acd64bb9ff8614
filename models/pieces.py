"""The pieces of a sentencepiece model, where ▁ stands for the space before a word.

Speech2Text's vocab.json gives the pieces ids of its own; LASR's are the model's.
"""

import codecs
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path

import sentencepiece

from models.config import ConfigError
from models.spelling import Spelled, Spelling, in_any_case, sounding, split
from models.tokenizer_files import cut, read_settings, read_table
from models.unigram import SPACE, join

LASR_ROLES: Mapping[str, str | None] = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
ROLES: Mapping[str, str | None] = {"bos_token": "<s>", **LASR_ROLES}


@dataclass(frozen=True)
class SentencePieces:
    """A sentencepiece model, under its own ids or others."""

    engine: sentencepiece.SentencePieceProcessor
    """Cuts text into pieces."""
    join: Callable[[Sequence[str]], str]
    """What pieces write, special ones by their names."""
    table: Mapping[str, int]
    """Each piece's id."""
    specials: frozenset[str]
    """Pieces that are not written."""
    blank: str | None
    """The piece that is never written, not even by name."""
    unknown: int
    """The id of what has no piece."""
    end: int | None
    """The id after a text."""
    upper: bool = False
    """Whether the pieces are lower case and the text upper case."""
    lower: bool = False
    """Whether a text is written in lower case before it is cut."""
    prefix: tuple[int, ...] = ()
    """Ids before a text: its language's, where the checkpoint is set to one."""
    languages: Mapping[str, int] = field(default_factory=dict)
    """The id that asks for each language."""
    delimiter: int | None = None
    """None: a piece says itself that it begins a word."""

    @cached_property
    def pieces(self) -> Mapping[int, str]:
        """Each id's piece."""
        return {i: piece for piece, i in self.table.items()}

    def surface(self, i: int) -> str:
        """What a token writes; a lone byte of a character writes nothing that can be known."""
        piece = self.pieces.get(i, "")
        return "" if piece in self.specials else self._cased(piece.replace(SPACE, " "))

    def text(self, ids: Sequence[int]) -> str:
        """What tokens write."""
        return self.join(self._spoken(ids))

    def words(self, ids: Sequence[int]) -> list[Spelled]:
        """The words that tokens write."""
        surfaces = self._surfaces(ids)
        silent = [not surface and self._is_byte(i) for i, surface in zip(ids, surfaces, strict=True)]
        words = split(surfaces)
        rests = (next((n for n in range(word.last, len(ids)) if not silent[n]), len(ids)) for word in words)
        return [replace(word, last=rest) for word, rest in zip(words, rests, strict=True)]

    def literal(self, ids: Sequence[int]) -> str:
        """What tokens write, special ones by their names."""
        unknown = self.pieces.get(self.unknown, "")
        return self.join([piece for piece in (self.pieces.get(i, unknown) for i in ids) if piece != self.blank])

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, between those that begin and end it."""
        whole = dict.fromkeys(self.specials, False)
        ids = [*self.prefix]
        for part, special in cut(text, whole):
            pieces = [part] if special else self._cut(part)
            ids += [self.table.get(piece, self.unknown) for piece in pieces]
        return ids if self.end is None else [*ids, self.end]

    def spell(self, text: str) -> list[Spelling]:
        """The tokens of each word of a text."""
        return [in_any_case(word, self._spelling) for word in text.split()]

    def _spelling(self, word: str) -> Spelling:
        pieces = self._cut(word)
        missing = "".join(piece for piece in pieces if piece not in self.table)
        ids = tuple(self.table[piece] for piece in pieces if piece in self.table)
        return sounding(Spelling(word, ids, missing.replace(SPACE, "")), self.surface)

    def _cut(self, text: str) -> list[str]:
        pieces: list[str] = self.engine.encode(text.lower() if self.lower else text, out_type=str)
        return pieces

    def _spoken(self, ids: Sequence[int]) -> list[str]:
        pieces = (self.pieces.get(i) for i in ids)
        return [piece for piece in pieces if piece is not None and piece not in self.specials]

    def _surfaces(self, ids: Sequence[int]) -> list[str]:
        """What each token writes; a character of several bytes is written by the first of them."""
        surfaces = [self.surface(i) for i in ids]
        utf8, first = codecs.getincrementaldecoder("utf-8")("replace"), 0
        for index, i in enumerate(ids):
            if not self._is_byte(i):
                continue
            first = first if utf8.getstate()[0] else index
            ends = index + 1 == len(ids) or not self._is_byte(ids[index + 1])
            written = utf8.decode(bytes([int(surfaces[index][3:5], 16)]), ends)
            surfaces[index] = ""
            surfaces[first] = self._cased(written)
        return surfaces

    def _is_byte(self, i: int) -> bool:
        piece = self.pieces.get(i, "")
        own = self.engine.piece_to_id(piece)
        return bool(self.engine.is_byte(own)) and self.engine.id_to_piece(own) == piece

    def _cased(self, text: str) -> str:
        return text.upper() if self.upper else text


def read_sentencepieces(path: Path) -> SentencePieces:
    """LASR's sentencepiece model, under its own ids: the reference joins its pieces as those of a tokenizer.json."""
    engine = _engine(path)
    ids = range(engine.get_piece_size())
    settings = read_settings(path.parent)
    table = {engine.id_to_piece(i): i for i in ids}
    silent = {engine.id_to_piece(i) for i in ids if engine.is_control(i) or engine.is_unknown(i)}
    specials = silent | {token for token in settings.specials(LASR_ROLES) if token in table}
    end = table.get(settings.token("eos_token", "</s>") or "")
    blank = settings.token("pad_token", "<pad>")
    return SentencePieces(engine, join, table, frozenset(specials), blank, engine.unk_id(), end)


def read_speech2text(folder: Path, model: Path) -> SentencePieces:
    """Speech2Text's vocab.json, beside the sentencepiece model whose pieces it numbers."""
    settings = read_settings(folder)
    vocabulary = read_table(folder / "vocab.json")
    unknown = settings.token("unk_token", "<unk>") or ""
    if unknown not in vocabulary:
        raise ConfigError([f"vocab.json has no {unknown!r}, the token for what is unknown"])
    languages = {piece[6:-1]: i for piece, i in vocabulary.items() if piece.startswith("<lang:") and piece[-1] == ">"}
    specials = settings.specials(ROLES)
    table = {**vocabulary, **settings.table(vocabulary, specials)}
    silent = frozenset(specials) | {f"<lang:{code}>" for code in languages}
    engine, upper = _engine(model), settings.flag("do_upper_case")
    return SentencePieces(
        engine,
        partial(_decoded, engine, silent, str.upper if upper else str),
        table,
        silent,
        None,
        table[unknown],
        table.get(settings.token("eos_token", "</s>") or ""),
        upper=upper,
        lower=settings.flag("do_lower_case"),
        prefix=_prefix(languages, settings.values.get("tgt_lang"), settings.values.get("lang_codes")),
        languages=languages,
    )


def _decoded(
    engine: sentencepiece.SentencePieceProcessor,
    specials: frozenset[str],
    cased: Callable[[str], str],
    pieces: Sequence[str],
) -> str:
    """As the engine joins pieces, with a space after each special one."""
    text = ""
    for special, group in groupby(pieces, specials.__contains__):
        part = list(group)
        text += "".join(f"{piece} " for piece in part) if special else cased(engine.decode(part))
    return text.strip()


def _prefix(languages: Mapping[str, int], target: object, codes: object) -> tuple[int, ...]:
    if target is None and codes is None:
        return ()
    target = next(iter(languages), None) if target is None else target
    if target not in languages:
        there = ", ".join(sorted(languages)) or "none"
        raise ConfigError([f"tokenizer_config.json: tgt_lang is {target!r}, but vocab.json has {there}"])
    return (languages[str(target)],)


def _engine(path: Path) -> sentencepiece.SentencePieceProcessor:
    try:
        return sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (RuntimeError, OSError) as error:
        raise ConfigError([f"{path.name} is cut short or damaged: fetch it again"]) from error
