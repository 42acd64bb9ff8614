"""What each job that hears audio can be told of how recordings are read, cut and left out."""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from cyclopts import Group, Parameter

CUTTING = Parameter(group=Group("Long recordings and limits", sort_key=20))
USUAL: Mapping[str, float] = {
    "longest_seconds": 30.0,
    "shortest_seconds": 10.0,
    "context_seconds": 1.0,
    "most_seconds": 86_400.0,
    "most_bytes": 32 << 30,
    "most_channels": 64,
}
"""What is meant where nothing is said, and so makes no difference when it is said."""


@dataclass(frozen=True)
class Audio:
    """How long a piece, a recording and a decoder's work may be."""

    _: KW_ONLY
    longest_seconds: Annotated[float | None, CUTTING] = None
    """A recording up to this long is heard in one piece, and a longer one is cut into pieces up to this long; without
    it, 30, or as much as the model holds."""
    shortest_seconds: Annotated[float | None, CUTTING] = None
    """No piece of a recording that is cut is shorter; without it, 10, or half of the longest."""
    context_seconds: Annotated[float | None, CUTTING] = None
    """What is heard beyond a cut, on both sides, so that a word at it is heard whole; without it, 1, and nothing for a
    decoder, which would write it twice."""
    skip_shorter_seconds: Annotated[float | None, CUTTING] = None
    """Shorter recordings are skipped: they are rows of that status. Without it, none is too short."""
    skip_longer_seconds: Annotated[float | None, CUTTING] = None
    """Longer recordings are skipped; without it, none is too long."""
    most_seconds: Annotated[float, CUTTING] = 86_400.0
    """A recording that decodes to more fails: a file of megabytes may say that it lasts for years."""
    most_bytes: Annotated[int, CUTTING] = 32 << 30
    """A recording that decodes to more bytes (4 for each sample of each channel) fails."""
    most_channels: Annotated[int, CUTTING] = 64
    """A recording with more channels fails."""
    patience_seconds: Annotated[float, CUTTING] = 60.0
    """What any recording may take to decode before its decoder is taken for one that never ends."""
    patience_seconds_per_megabyte: Annotated[float, CUTTING] = 30.0
    """What it may take beyond that for each megabyte of the file."""
    most_patience_seconds: Annotated[float, CUTTING] = 3_600.0
    """What it may take however large it is, or where its size is not known."""

    @property
    def limits(self) -> Mapping[str, float]:
        """What is said and decides which words come, where it is not what is usual."""
        names = (*USUAL, "skip_shorter_seconds", "skip_longer_seconds")
        said = {name: getattr(self, name) for name in names}
        return {name: float(value) for name, value in said.items() if value is not None and value != USUAL.get(name)}

    def _audio(self) -> Iterator[str]:
        """Values that no recording could have; how pieces fit each other and the model is looked at with the model."""
        for name in ("skip_longer_seconds", "patience_seconds", "most_patience_seconds"):
            if (value := getattr(self, name)) is not None and not value > 0:
                yield f"{name} is {value}: it must be more than 0"
        for name in ("skip_shorter_seconds", "patience_seconds_per_megabyte"):
            if (value := getattr(self, name)) is not None and not value >= 0:
                yield f"{name} is {value}: it must be 0 or more"
        shorter, longer = self.skip_shorter_seconds, self.skip_longer_seconds
        if shorter is not None and longer is not None and shorter > longer:
            yield f"skip_shorter_seconds is {shorter}: more than skip_longer_seconds ({longer}), so nothing is heard"
