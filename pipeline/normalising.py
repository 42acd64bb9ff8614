"""The rules by which two texts are made comparable before they are scored, each with a name and a sentence."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.scoring import normalise


@dataclass(frozen=True)
class Normalisation:
    """One rule, for both sides."""

    name: str
    says: str
    """What it does, for whoever reads a figure."""
    apply: Callable[[str], str]


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())


def _spaced(text: str) -> str:
    return " ".join(text.split())


NORMALISATIONS: Mapping[str, Normalisation] = {
    rule.name: rule
    for rule in (
        Normalisation(
            "standard",
            "NFKC, case folded; an apostrophe inside a word is dropped, other punctuation and symbols become spaces",
            normalise,
        ),
        Normalisation("punctuated", "NFKC, case folded; punctuation counts", _folded),
        Normalisation("none", "as written: case, punctuation and spelling of characters count", _spaced),
    )
}
"""By their names; words are what spaces part."""
