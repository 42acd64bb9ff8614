"""How a checkpoint wants its texts written: the fields of generation_config.json, and what a caller says instead."""

import dataclasses
from dataclasses import dataclass
from math import inf, isfinite
from typing import TypeVar

from models.config import Json, at_least, read, refuse
from models.protocol import Generation
from models.speech2text import Speech2TextConfig

S = TypeVar("S")

NAME = "generation_config.json"
NEVER = "never"
TOKENS = 200
"""Tokens of a text, at most, where nothing is said: what every published checkpoint says."""

UNSUPPORTED: Json = {
    "do_sample": False,
    "num_return_sequences": 1,
    "num_beam_groups": 1,
    "diversity_penalty": 0.0,
    "penalty_alpha": 0.0,
    "repetition_penalty": 1.0,
    "encoder_repetition_penalty": 1.0,
    "encoder_no_repeat_ngram_size": 0,
    "exponential_decay_length_penalty": None,
    "sequence_bias": None,
    "guidance_scale": 1.0,
    "constraints": None,
    "force_words_ids": None,
    "renormalize_logits": False,
    "max_time": None,
    "stop_strings": None,
    "watermarking_config": None,
    "dola_layers": None,
}
"""Fields that would change what is written, and their values that do not."""


@dataclass(frozen=True)
class GenerationConfig:
    """What generation_config.json, or an older config.json, says. Token counts include the one that begins."""

    num_beams: int = 1
    """Readings kept from token to token."""
    length_penalty: float = 1.0
    """A finished reading's score is divided by its length to this power."""
    max_length: int = at_least(0, 0)
    """Tokens of a text, at most; 0 where it is not said."""
    max_new_tokens: int = at_least(0, 0)
    """The same, without the token that begins; it goes before `max_length`."""
    min_length: int = at_least(0, 0)
    """Tokens of a text, at least."""
    min_new_tokens: int = at_least(0, 0)
    """The same, without the token that begins; it goes before `min_length`."""
    no_repeat_ngram_size: int = at_least(0, 0)
    """So many tokens in a row occur once; 0 for no such rule."""
    decoder_start_token_id: int = at_least(0, 2)
    """The token that every text begins with."""


@dataclass(frozen=True)
class Rules:
    """Everything that decides what is written. Lengths count the token that begins."""

    beams: int
    length_penalty: float
    early_stopping: bool | str
    """True: done with as many finished texts as beams. False: when no reading is likely to become better.
    "never": when none can."""
    max_length: int
    min_length: int
    no_repeat_ngram: int
    start: int
    ends: tuple[int, ...]
    """Tokens that end a text."""
    first: int | None
    """The token forced after the one that begins, such as a language."""
    last: tuple[int, ...]
    """Tokens forced at the greatest length."""
    suppressed: tuple[int, ...]
    """Tokens that are never written."""
    suppressed_first: tuple[int, ...]
    """Tokens that no text goes on with after what is forced."""
    bad_words: tuple[tuple[int, ...], ...]
    """Tokens that never follow one another."""
    longest: int
    """The most that `max_length` may be."""
    temperature: float = 1.0
    """What logits are divided by before posteriors are taken of a text that is found."""

    def told(self, search: Generation) -> "Rules":
        """With what a caller says, where it says something."""
        rules = dataclasses.replace(
            self,
            beams=_said(search.beams, self.beams),
            length_penalty=_said(search.length_penalty, self.length_penalty),
            early_stopping=_said(search.early_stopping, self.early_stopping),
            max_length=_said(search.max_length, self.max_length),
            no_repeat_ngram=_said(search.no_repeat_ngram, self.no_repeat_ngram),
            first=_said(search.first, self.first),
            temperature=_said(search.temperature, self.temperature),
        )
        if problems := rules.flaws():
            raise ValueError("; ".join(problems))
        return rules

    def flaws(self) -> list[str]:
        """What cannot be meant."""
        flaws = []
        if self.beams < 1:
            flaws.append(f"beams is {self.beams}; a whole number above zero is needed")
        if not 2 <= self.max_length <= self.longest:
            flaws.append(f"max_length is {self.max_length}; from 2 to max_target_positions {self.longest} is supported")
        if self.no_repeat_ngram < 0:
            flaws.append(f"no_repeat_ngram is {self.no_repeat_ngram}; a whole number is needed, 0 for no such rule")
        if not isfinite(self.length_penalty):
            flaws.append(f"length_penalty is {self.length_penalty}; a number is needed")
        if not 0 < self.temperature < inf:
            flaws.append(f"temperature is {self.temperature}; a number above 0 is needed")
        if not isinstance(self.early_stopping, bool) and self.early_stopping != NEVER:
            flaws.append(f"early_stopping is {self.early_stopping!r}; supported: true, false, {NEVER!r}")
        return flaws


def _said(told: S | None, otherwise: S) -> S:
    return otherwise if told is None else told


def read_rules(published: Json, model: Speech2TextConfig) -> tuple[Rules, list[str]]:
    """The rules of a checkpoint, and what is wrong with them.

    Where there is a generation_config.json, config.json only says what begins and ends a text, if that does not.
    """
    nested = published.get("generation_config")
    older = published if nested is None else {name: published.get(name) for name in EDGES}
    stated = _stated(older) | _stated(_object(nested))
    config, problems = read(GenerationConfig(), stated)
    problems += refuse(stated, UNSUPPORTED)
    ids = {name: _ids(stated.get(name), model.vocab_size) for name in ID_LISTS}
    problems += [f"{name} is {stated[name]!r}; {ID_LISTS[name]}" for name, found in ids.items() if found is None]
    known = {name: found or () for name, found in ids.items()}
    problems += _misplaced(known["forced_bos_token_id"], config.decoder_start_token_id, model.vocab_size)
    words, wrong = _bad_words(stated.get("bad_words_ids"), model.vocab_size)
    least = config.min_new_tokens + 1 if config.min_new_tokens else config.min_length
    rules = Rules(
        beams=config.num_beams,
        length_penalty=config.length_penalty,
        early_stopping=_early(stated.get("early_stopping")),
        max_length=_most(config, model.max_target_positions),
        min_length=least,
        no_repeat_ngram=config.no_repeat_ngram_size,
        start=config.decoder_start_token_id,
        ends=known["eos_token_id"] if stated.get("eos_token_id") is not None else (2,),
        first=next(iter(known["forced_bos_token_id"]), None),
        last=known["forced_eos_token_id"],
        suppressed=known["suppress_tokens"],
        suppressed_first=known["begin_suppress_tokens"],
        bad_words=tuple(word for word in words if len(word) > 1 or word[0] not in known["eos_token_id"]),
        longest=model.max_target_positions,
    )
    return rules, [f"{NAME}: {problem}" for problem in problems + wrong + rules.flaws()]


EDGES = ("decoder_start_token_id", "eos_token_id")
"""What begins and ends a text."""
ID_LISTS = {
    "eos_token_id": "token ids below vocab_size are needed",
    "forced_bos_token_id": "a token id below vocab_size is needed",
    "forced_eos_token_id": "token ids below vocab_size are needed",
    "suppress_tokens": "token ids below vocab_size are needed",
    "begin_suppress_tokens": "token ids below vocab_size are needed",
}
"""Fields that hold one token id or several, and what is wrong with other values."""


def _stated(fields: Json) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _object(stated: object) -> Json:
    return stated if isinstance(stated, dict) else {}


def _ids(stated: object, size: int) -> tuple[int, ...] | None:
    """One id or several; None where it is neither."""
    listed = stated if isinstance(stated, list | tuple) else [] if stated is None else [stated]
    ids = tuple(i for i in listed if isinstance(i, int) and not isinstance(i, bool) and 0 <= i < size)
    return ids if len(ids) == len(listed) else None


def _misplaced(first: tuple[int, ...], start: int, size: int) -> list[str]:
    """What is wrong with the tokens that texts begin with."""
    flaws = []
    if len(first) > 1:
        flaws.append(f"forced_bos_token_id is {list(first)}; {ID_LISTS['forced_bos_token_id']}")
    if start >= size:
        flaws.append(f"decoder_start_token_id is {start}; a token id below vocab_size ({size}) is needed")
    return flaws


def _early(stated: object) -> bool | str:
    if stated is None:
        return False
    return stated if isinstance(stated, bool) else str(stated)


def _bad_words(stated: object, size: int) -> tuple[tuple[tuple[int, ...], ...], list[str]]:
    listed = stated if isinstance(stated, list | tuple) else [] if stated is None else [[stated]]
    words = [_ids(word, size) for word in listed]
    if all(words):
        return tuple(word for word in words if word), []
    return (), [f"bad_words_ids is {stated!r}; lists of token ids below vocab_size are needed"]


def _most(config: GenerationConfig, longest: int) -> int:
    if config.max_new_tokens:
        return config.max_new_tokens + 1
    return config.max_length or min(TOKENS, longest)
