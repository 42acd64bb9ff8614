"""Vocabularies in a vocab.json alone: letters with a token between words, or phonemes.

Ids come here collapsed: that one letter may stand twice in a word is the search's business.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from models.config import ConfigError, Json, read_json, write_json
from models.spelling import Spelled, Spelling, in_any_case, regroup, split, tidy
from models.tokenizer_files import Settings, checked_table, cut, read_settings

ROLES: Mapping[str, str | None] = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


@dataclass(frozen=True)
class Table:
    """Tokens and their ids."""

    ids: Mapping[str, int]
    """Every token's id, added ones among them."""
    tokens: Mapping[int, str]
    """Every id's token."""
    specials: frozenset[str]
    """Tokens that stand for no sound."""
    unknown: str
    """The token for what has none."""
    blank: str
    """The token that is never written."""
    whole: Mapping[str, bool]
    """Tokens that a text is never cut inside, and whether each swallows the spaces around it."""

    def token(self, i: int) -> str:
        """What an id stands for."""
        return self.tokens.get(i, self.unknown)

    def of(self, tokens: Sequence[str]) -> list[int]:
        """Ids, with the unknown token's where there is none."""
        unknown = self.ids.get(self.unknown)
        ids = (self.ids.get(token, unknown) for token in tokens)
        return [i for i in ids if i is not None]

    def spelling(self, word: str, tokens: Sequence[str]) -> Spelling:
        """A word's tokens as far as they stand for sounds."""
        known = [token in self.ids and token not in self.specials for token in tokens]
        ids = tuple(self.ids[token] for token, there in zip(tokens, known, strict=True) if there)
        return Spelling(word, ids, "".join(t for t, there in zip(tokens, known, strict=True) if not there))


@dataclass(frozen=True)
class Letters:
    """One token per letter, and one that stands between words."""

    table: Table
    between: str
    """The token between words."""
    space: str = " "
    """What it is written as."""
    lower: bool = False
    """Whether the tokens are upper case and the text lower case."""
    tidied: bool = False
    """Whether spaces before punctuation are taken away."""
    languages: Mapping[str, int] = field(default_factory=dict)
    """None."""

    @cached_property
    def delimiter(self) -> int | None:
        """The id between words."""
        return self.table.ids.get(self.between)

    def surface(self, i: int) -> str:
        """What a token writes."""
        token = self.table.token(i)
        if token == self.between:
            return self.space
        return "" if token in self.table.specials else token

    def text(self, ids: Sequence[int]) -> str:
        """What tokens write."""
        return self._finished("".join(map(self.surface, ids)))

    def words(self, ids: Sequence[int]) -> list[Spelled]:
        """The words that tokens write."""
        cased = [surface.lower() if self.lower else surface for surface in map(self.surface, ids)]
        return regroup(split(cased), self.text(ids).split())

    def literal(self, ids: Sequence[int]) -> str:
        """What tokens write, special ones by their names."""
        tokens = [self.table.token(i) for i in ids]
        written = (self.space if token == self.between else token for token in tokens if token != self.table.blank)
        return self._finished("".join(written))

    def ids(self, text: str) -> list[int]:
        """The tokens of a text."""
        return self.table.of(self._tokens(text))

    def spell(self, text: str) -> list[Spelling]:
        """The tokens of each word of a text."""
        return [in_any_case(word, self._spelling) for word in text.split()]

    def _spelling(self, word: str) -> Spelling:
        return self.table.spelling(word, self._tokens(word))

    def _tokens(self, text: str) -> list[str]:
        tokens: list[str] = []
        for part, whole in cut(text, self.table.whole):
            cased = part.upper() if self.lower else part
            tokens += [part] if whole else cased.replace(" ", self.between)
        return tokens

    def _finished(self, text: str) -> str:
        text = text.strip()
        text = text.lower() if self.lower else text
        return tidy(text) if self.tidied else text


@dataclass(frozen=True)
class Phonemes:
    """One token per phoneme, written with spaces between them; sometimes one that stands between words."""

    table: Table
    between: str | None = None
    """The token between words, if the vocabulary has one. It is not written."""
    languages: Mapping[str, int] = field(default_factory=dict)
    """None."""

    @cached_property
    def delimiter(self) -> int | None:
        """The id between words."""
        return None if self.between is None else self.table.ids.get(self.between)

    def surface(self, i: int) -> str:
        """What a token writes."""
        token = self.table.token(i)
        return "" if token in self.table.specials or token == self.between else f" {token}"

    def text(self, ids: Sequence[int]) -> str:
        """What tokens write."""
        return "".join(map(self.surface, ids)).strip()

    def words(self, ids: Sequence[int]) -> list[Spelled]:
        """The words that tokens write: single phonemes, where nothing tells words apart."""
        phonemes = split(map(self.surface, ids))
        if self.delimiter is None:
            return phonemes
        words: list[list[Spelled]] = [[]]
        for here in phonemes:
            if words[-1] and self.delimiter in ids[words[-1][-1].last : here.first]:
                words.append([])
            words[-1].append(here)
        return [Spelled(" ".join(p.text for p in word), word[0].first, word[-1].last) for word in words if word]

    def literal(self, ids: Sequence[int]) -> str:
        """What tokens write, special ones by their names."""
        silent = (self.table.blank, self.between)
        return " ".join(token for token in map(self.table.token, ids) if token not in silent).strip()

    def ids(self, text: str) -> list[int]:
        """The tokens of phonemes with spaces between them."""
        return self.table.of(self._tokens(text))

    def spell(self, text: str) -> list[Spelling]:
        """The token of each phoneme."""
        return [self.table.spelling(phoneme, self._tokens(phoneme)) for phoneme in text.split()]

    def _tokens(self, text: str) -> list[str]:
        tokens: list[str] = []
        for part, whole in cut(text, self.table.whole):
            tokens += [part] if whole else (phoneme for phoneme in part.strip().split(" ") if phoneme.strip())
        return tokens


def read_letters(folder: Path) -> Letters | Phonemes:
    """The vocabulary in a folder's vocab.json."""
    settings = read_settings(folder)
    vocabulary = _vocabulary(read_json(folder / "vocab.json"), settings)
    return _phonemes(vocabulary, settings) if _is_phonemic(settings) else _letters(vocabulary, settings)


def write_letters(letters: Iterable[str], folder: Path) -> None:
    """A vocabulary of these letters, for `read_letters` and the reference to read; the blank is 0."""
    tokens = ["<pad>", "<s>", "</s>", "<unk>", "|", *letters]
    write_json(folder / "vocab.json", {token: i for i, token in enumerate(tokens)})
    named = {**ROLES, "word_delimiter_token": "|", "tokenizer_class": "Wav2Vec2CTCTokenizer"}
    write_json(folder / "tokenizer_config.json", named)


def _letters(vocabulary: Mapping[str, int], settings: Settings) -> Letters:
    roles = {**ROLES, "word_delimiter_token": "|"}
    clusters = {token: True for token in vocabulary if len(token) > 1}
    table = _table(vocabulary, settings, roles, clusters)
    between = settings.token("word_delimiter_token", "|") or "|"
    space = settings.values.get("replace_word_delimiter_char", " ")
    return Letters(
        table,
        between,
        space if isinstance(space, str) else " ",
        settings.flag("do_lower_case"),
        settings.flag("clean_up_tokenization_spaces"),
    )


def _phonemes(vocabulary: Mapping[str, int], settings: Settings) -> Phonemes:
    table = _table(vocabulary, settings, ROLES, {})
    return Phonemes(table, settings.token("word_delimiter_token", None))


def _table(
    vocabulary: Mapping[str, int], settings: Settings, roles: Mapping[str, str | None], clusters: Mapping[str, bool]
) -> Table:
    specials = settings.specials(roles)
    added = settings.table(vocabulary, specials)
    whole = {token: token not in settings.loose and token not in specials for token in added}
    return Table(
        ids={**vocabulary, **added},
        tokens={i: token for token, i in [*added.items(), *vocabulary.items()]},
        specials=frozenset(specials),
        unknown=settings.token("unk_token", "<unk>") or "",
        blank=settings.token("pad_token", "<pad>") or "",
        whole={**dict.fromkeys(specials, False), **whole, **clusters},
    )


def _is_phonemic(settings: Settings) -> bool:
    named = str(settings.values.get("tokenizer_class", ""))
    return named.startswith("Wav2Vec2PhonemeCTC") or "do_phonemize" in settings.values


def _vocabulary(content: Json, settings: Settings) -> Mapping[str, int]:
    """The table, out of several where a checkpoint has one per language."""
    if not content:
        raise ConfigError(["vocab.json lists no token"])
    language = settings.values.get("target_lang")
    if language is None and not all(isinstance(table, dict) for table in content.values()):
        return checked_table("vocab.json", content)
    if language is None or language not in content:
        raise ConfigError(
            [
                f"tokenizer_config.json: target_lang is {language!r}, but vocab.json has one vocabulary for each of "
                f"{', '.join(sorted(content)[:20])}; one of them is needed"
            ]
        )
    table = content[str(language)]
    if not isinstance(table, dict):
        raise ConfigError([f"vocab.json is one vocabulary, but tokenizer_config.json: target_lang is {language!r}"])
    return checked_table(f"vocab.json: {language}", table)
