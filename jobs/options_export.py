"""What `steno export` can be told."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from cyclopts import Parameter

from jobs.options_corpus import MANY

FORMATS = ("srt", "vtt", "textgrid", "ctm", "rttm", "nemo", "whisperx", "dataset", "csv")


@dataclass(frozen=True)
class Export:
    """What to write in other programs' formats, and where to."""

    output: str
    """The folder or URL that a job wrote."""
    _: KW_ONLY
    to: str
    """The folder or URL to write under: each format has a folder of its own there."""
    formats: Annotated[tuple[str, ...], MANY, Parameter(name="--format", alias="-f")]
    """srt, vtt, textgrid or whisperx: a file per recording. ctm, rttm, nemo (a manifest) or csv: files of many
    recordings. dataset: a folder for Hugging Face's load_dataset. Several are written in one pass."""
    line_letters: int = 42
    """Letters of a subtitle's line."""
    lines: int = 2
    """Lines of a subtitle."""
    subtitle_seconds: float = 7.0
    """A subtitle stays no longer than this, unless one word does."""

    def flaws(self) -> list[str]:
        """Every value that cannot be meant, in a sentence each."""
        return [*self._unknown(), *self._numbers()]

    def _unknown(self) -> Iterator[str]:
        if not self.formats:
            yield f"no format is named: {', '.join(FORMATS)} are known"
        for name in self.formats:
            if name not in FORMATS:
                yield f"format is {name!r}: {', '.join(FORMATS)} are known"

    def _numbers(self) -> Iterator[str]:
        if self.line_letters < 10:
            yield f"line_letters is {self.line_letters}: it must be 10 or more"
        if self.lines < 1:
            yield f"lines is {self.lines}: it must be 1 or more"
        if not self.subtitle_seconds >= 0.5:
            yield f"subtitle_seconds is {self.subtitle_seconds}: it must be 0.5 or more"
