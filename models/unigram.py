"""Pieces with scores, as in LASR's tokenizer.json; ▁ stands for the space before a word."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path

from models.config import ConfigError, Json, read_json, write_json
from models.spelling import Spelled, Spelling, in_any_case, sounding, split
from models.tokenizer_files import cut, is_id, read_settings

SPACE = "▁"
UNKNOWN = 3
"""The id that the reference gives what it cannot spell, whatever the file says: that of a lone ▁."""
UNKNOWN_COSTS = 10.0
"""How much less likely an unknown character is than the least likely piece."""
ROLES: Mapping[str, str | None] = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


@dataclass(frozen=True)
class Unigram:
    """Pieces with scores; a text is cut where the scores add up to most."""

    pieces: tuple[str, ...]
    """One per id; the vocabulary's, then added ones."""
    scores: tuple[float, ...]
    """Log-probability of each of the vocabulary's."""
    specials: frozenset[int]
    """Ids that are not written."""
    blank: int | None
    """The id of nothing new."""
    end: int | None
    """The id after a text."""
    delimiter: int | None = None
    """None: a piece says itself that it begins a word."""
    languages: Mapping[str, int] = field(default_factory=dict)
    """None."""

    @cached_property
    def table(self) -> Mapping[str, int]:
        """Each piece's id."""
        return {piece: i for i, piece in enumerate(self.pieces)}

    def surface(self, i: int) -> str:
        """What a token writes."""
        return "" if i in self.specials or i >= len(self.pieces) else self.pieces[i].replace(SPACE, " ")

    def text(self, ids: Sequence[int]) -> str:
        """What tokens write."""
        return self._joined([i for i in ids if i not in self.specials])

    def words(self, ids: Sequence[int]) -> list[Spelled]:
        """The words that tokens write."""
        return split(map(self.surface, ids))

    def literal(self, ids: Sequence[int]) -> str:
        """What tokens write, special ones by their names."""
        return self._joined([i for i in ids if i != self.blank])

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, and the one that ends it."""
        whole = {self.pieces[i]: False for i in self.specials}
        ids: list[int] = []
        for part, special in cut(text, whole):
            ids += [self.table[part]] if special else self._cut(part)
        return ids if self.end is None else [*ids, self.end]

    def spell(self, text: str) -> list[Spelling]:
        """The tokens of each word of a text."""
        return [in_any_case(word, self._spelling) for word in text.split()]

    def _spelling(self, word: str) -> Spelling:
        pieces = [(self.table.get(piece), piece) for piece in self._pieces(SPACE + word)]
        missing = "".join(piece for i, piece in pieces if i is None)
        return sounding(Spelling(word, tuple(i for i, _ in pieces if i is not None), missing), self.surface)

    def _joined(self, ids: Sequence[int]) -> str:
        return join([self.pieces[i] for i in ids if i < len(self.pieces)])

    def _cut(self, text: str) -> Iterator[int]:
        """Ids of a text's words; an unknown stretch is one token."""
        for word in text.split():
            marked = word.replace(" ", SPACE) if word.startswith(SPACE) else SPACE + word
            for part in re.findall(f"{SPACE}[^{SPACE}]*", marked):
                ids = (self.table.get(piece, UNKNOWN) for piece in self._pieces(part))
                for i, same in groupby(ids):
                    yield from [i] if i == UNKNOWN else same

    def _pieces(self, word: str) -> list[str]:
        """The likeliest way to cut a word into pieces, a lone character where there is none."""
        best: list[tuple[float, int]] = [(0.0, 0)] + [(-math.inf, 0)] * len(word)  # score, where the last piece starts
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + self._longest) + 1):
                score = self._score(word[start:end]) + best[start][0]
                if score > best[end][0]:
                    best[end] = (score, start)
        cuts = [len(word)]
        while cuts[-1]:
            cuts.append(best[cuts[-1]][1])
        return [word[start:end] for end, start in pairwise(cuts)][::-1]

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.pieces), default=1)

    @cached_property
    def _scored(self) -> Mapping[str, float]:
        return dict(zip(self.pieces, self.scores, strict=False))

    @cached_property
    def _unknown_score(self) -> float:
        return min(self.scores, default=0.0) - UNKNOWN_COSTS

    def _score(self, piece: str) -> float:
        return self._scored.get(piece, self._unknown_score if len(piece) == 1 else -math.inf)


def join(pieces: Sequence[str]) -> str:
    """What pieces write; the first has no space before it."""
    return "".join([piece.replace(SPACE, " " if n else "") for n, piece in enumerate(pieces)])


def read_unigram(folder: Path) -> Unigram:
    """LASR's tokenizer.json."""
    content = read_json(folder / "tokenizer.json")
    model, added = content.get("model"), content.get("added_tokens")
    model = model if isinstance(model, dict) else {}
    if model.get("type", "Unigram") != "Unigram":
        raise ConfigError([f"tokenizer.json: the model's type is {model['type']!r}; only 'Unigram' is supported"])
    try:
        pieces = {i: (str(entry[0]), float(entry[1])) for i, entry in enumerate(model.get("vocab") or [])}
        listed = {int(entry["id"]): str(entry["content"]) for entry in added} if isinstance(added, list) else {}
    except (LookupError, TypeError, ValueError) as error:
        raise ConfigError(["tokenizer.json lists pieces or added tokens in a way that is not known"]) from error
    if not pieces or not all(is_id(i) for i in listed):
        raise ConfigError(["tokenizer.json lists no piece, or an added token whose id is not a whole number"])
    named = {piece: i for i, (piece, _) in pieces.items()} | {piece: i for i, piece in listed.items()}
    return _unigram(folder, [pieces[i] for i in range(len(pieces))], named)


def write_unigram(pieces: Sequence[tuple[str, float]], folder: Path) -> None:
    """A vocabulary of these pieces and their scores, for `read_unigram` and the reference; the blank is 0."""
    first = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), (SPACE, min((score for _, score in pieces), default=0.0))]
    marks = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
    ends = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    content: Json = {
        "version": "1.0",
        "added_tokens": [
            {"id": i, "content": token, **plain, "special": True} for i, (token, _) in enumerate(first[:3])
        ],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, marks]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": ends,
            "pair": ends,
            "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}},
        },
        "decoder": marks,
        "model": {"type": "Unigram", "unk_id": UNKNOWN, "vocab": [*first, *pieces], "byte_fallback": False},
    }
    write_json(folder / "tokenizer.json", content)
    write_json(folder / "tokenizer_config.json", {**ROLES, "extra_ids": 0, "tokenizer_class": "LasrTokenizer"})


def _unigram(folder: Path, pieces: Sequence[tuple[str, float]], ids: Mapping[str, int]) -> Unigram:
    settings = read_settings(folder)
    specials = settings.specials(ROLES)
    ids = {**ids, **settings.table(ids, specials)}
    names = [piece for piece, _ in pieces] + [""] * (max(ids.values()) + 1 - len(pieces))
    for piece, i in ids.items():
        names[i] = piece
    blank, end = settings.token("pad_token", "<pad>"), settings.token("eos_token", "</s>")
    return Unigram(
        tuple(names),
        tuple(score for _, score in pieces),
        frozenset(ids[token] for token in specials),
        ids.get(blank or ""),
        ids.get(end or ""),
    )
