"""What the files beside a vocabulary say of its tokens: which are special, which were added.

Older checkpoints spread this over three files; where tokenizer_config.json lists the added tokens itself, the other
two are not read. That is what the reference does.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from models.config import LARGEST, ConfigError, Json, read_json

NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
LISTS = ("additional_special_tokens", "extra_special_tokens")


@dataclass(frozen=True)
class Settings:
    """The files of one folder, read."""

    values: Json
    """tokenizer_config.json, completed by special_tokens_map.json."""
    added: Mapping[int, str]
    """Tokens outside the vocabulary's own table, and their ids."""
    loose: frozenset[str]
    """Added tokens that leave the spaces around them alone."""

    def token(self, name: str, default: str | None) -> str | None:
        """The token for a role such as `pad_token`."""
        token = content(self.values.get(name, default))
        return None if token is None else str(token)

    def flag(self, name: str) -> bool:
        """A setting that is true or false; false where it is not said."""
        value = self.values.get(name, False)
        if not isinstance(value, bool | None):
            raise ConfigError([f"tokenizer_config.json: {name} is {value!r}; true or false is needed"])
        return bool(value)

    def specials(self, defaults: Mapping[str, str | None]) -> list[str]:
        """Every special token, each once."""
        named = [self.token(name, defaults.get(name)) for name in {**dict.fromkeys(NAMED), **defaults}]
        listed = [str(content(token)) for name in LISTS for token in _items(self.values.get(name))]
        return list(dict.fromkeys([token for token in named if token] + listed))

    def table(self, vocabulary: Mapping[str, int], specials: list[str]) -> dict[str, int]:
        """The ids of added tokens; a special one that nothing lists comes after all others."""
        ids = {token: i for i, token in self.added.items()}
        following = len({**vocabulary, **ids})
        absent = [token for token in specials if token not in vocabulary and token not in ids]
        return ids | {token: following + i for i, token in enumerate(absent)}


def read_settings(folder: Path) -> Settings:
    """What the files in a folder say."""
    values = dict(_optional(folder / "tokenizer_config.json"))
    listed = values.get("added_tokens_decoder")
    if isinstance(listed, dict):
        return Settings(values, dict(_added(listed)), frozenset(_loose(listed)))
    values |= _optional(folder / "special_tokens_map.json")
    added = read_table(folder / "added_tokens.json") if (folder / "added_tokens.json").is_file() else {}
    return Settings(values, {i: token for token, i in added.items()}, frozenset(added))


def read_table(path: Path) -> dict[str, int]:
    """A file of tokens and their ids."""
    return checked_table(path.name, read_json(path))


def checked_table(name: str, content: Json) -> dict[str, int]:
    """Tokens and their ids, or what is wrong with them."""
    table = {token: i for token, i in content.items() if is_id(i)}
    if len(table) < len(content):
        raise ConfigError([f"{name} gives some tokens an id that is not a whole number"])
    return table


def is_id(value: object) -> TypeGuard[int]:
    """Whether something can be a token's id."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def content(token: object) -> object:
    """A special token is a string, or an object that wraps one."""
    return token.get("content") if isinstance(token, dict) else token


def cut(text: str, whole: Mapping[str, bool]) -> Iterator[tuple[str, bool]]:
    """Pieces of a text, and whether each is one of the tokens that are never split.

    The value of such a token says whether it swallows the spaces around it.
    """
    if not whole:
        yield text, False
        return
    longest_first = sorted(whole, key=len, reverse=True)
    cuts = re.split("(" + "|".join(map(re.escape, longest_first)) + ")", text)
    parts = [part for part in cuts if part]
    for i, part in enumerate(parts):
        if whole.get(part):
            parts[i - 1 : i] = [parts[i - 1].rstrip()] if i else []
            parts[i + 1 : i + 2] = [following.lstrip() for following in parts[i + 1 : i + 2]]
    yield from ((part, part in whole) for part in parts if part)


def _optional(path: Path) -> Json:
    return read_json(path) if path.is_file() else {}


def _items(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _added(listed: Json) -> Iterator[tuple[int, str]]:
    for key, token in listed.items():
        if not key.isdecimal() or not is_id(int(key)) or not isinstance(content(token), str):
            raise ConfigError(
                [f"tokenizer_config.json: added_tokens_decoder has {key!r}: {token!r}; a token is needed"]
            )
        yield int(key), str(content(token))


def _loose(listed: Json) -> Iterator[str]:
    for token in listed.values():
        if not isinstance(token, dict) or not (token.get("lstrip") or token.get("rstrip")):
            yield str(content(token))
