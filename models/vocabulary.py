"""Token ids to text and back, from the vocabulary files that published checkpoints carry.

Ids come here collapsed, as a search leaves them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from models.letters import read_letters
from models.pieces import read_sentencepieces, read_speech2text
from models.spelling import Spelled, Spelling
from models.unigram import read_unigram

MODELS = ("spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
"""What a sentencepiece model may be called."""
FILES = (
    "vocab.json",
    *MODELS,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
"""All that a vocabulary may consist of."""


class Vocabulary(Protocol):
    """The role of every kind."""

    @property
    def delimiter(self) -> int | None:
        """The id between words, for vocabularies that have one."""
        ...

    @property
    def languages(self) -> Mapping[str, int]:
        """The id that asks for each language, for vocabularies of several."""
        ...

    def surface(self, i: int) -> str:
        """What one token writes, spaces and all; nothing if it is special."""
        ...

    def text(self, ids: Sequence[int]) -> str:
        """What tokens write. Special tokens write nothing."""
        ...

    def words(self, ids: Sequence[int]) -> list[Spelled]:
        """The words that tokens write, and the tokens of each."""
        ...

    def literal(self, ids: Sequence[int]) -> str:
        """What tokens write, special ones by their names."""
        ...

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, as the published tokenizer gives them: to compute a loss with."""
        ...

    def spell(self, text: str) -> list[Spelling]:
        """The tokens of each word of a text, and what has none: to align with.

        A word that cannot be spelled as it stands is tried in upper and in lower case.
        """
        ...


def read_vocabulary(folder: Path) -> Vocabulary | None:
    """The vocabulary in a checkpoint folder, or None where there is none."""
    models = [folder / name for name in MODELS if (folder / name).is_file()]
    if (folder / "vocab.json").is_file():
        return read_speech2text(folder, models[0]) if models else read_letters(folder)
    if models:
        return read_sentencepieces(models[0])
    return read_unigram(folder) if (folder / "tokenizer.json").is_file() else None
