"""What `steno filter` can be told."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from jobs.options import SWITCH


@dataclass(frozen=True)
class Filter:
    """What makes a row suspicious, and where the flagged table goes. What was not measured is not flagged."""

    output: str
    """The folder or URL that a job wrote."""
    _: KW_ONLY
    to: str | None = None
    """The folder or URL for the flagged table; without it, `flagged` in the output."""
    alignment: str | None = None
    """The folder or URL that steno align wrote of the same recordings: what it found of each counts as if it stood in
    this output, so that error rate and CTC loss are known together."""
    max_wer: float = 0.5
    """Flag `error_rate`: word errors for each word of the reference, where the table has one."""
    max_ctc_loss: float = 2.0
    """Flag `ctc_loss`: loss for each token of the text that steno align laid onto the audio."""
    min_confidence: float = 0.5
    """Flag `confidence`: that of the whole text."""
    min_words_per_second: float = 0.3
    """Flag `words_per_second`: fewer words than this; 0 where words have no spaces between them."""
    max_words_per_second: float = 6.0
    """The same flag: more words than this."""
    max_repeats: int = 3
    """Flag `repeats`: one to four words that follow themselves more often than this, as in a loop."""
    max_silence: float = 0.8
    """Flag `silence`: the share of a recording that lies outside all words."""
    min_seconds: float = 0.3
    """Flag `duration`: recordings shorter than this."""
    max_seconds: float | None = None
    """The same flag: recordings longer than this; without it, none is too long."""
    clipping: Annotated[bool, SWITCH] = False
    """Read all audio once more, from where it was read before, and measure how much of it is clipped."""
    max_clipping: float = 0.001
    """Flag `clipping`: the share of samples in runs of three or more at full scale."""

    @property
    def place(self) -> str:
        """Where the flagged table goes."""
        return self.to or f"{self.output.rstrip('/')}/flagged"

    def flaws(self) -> list[str]:
        """Every value that cannot be meant, in a sentence each."""
        return [*self._shares(), *self._numbers(), *self._orders()]

    def _shares(self) -> Iterator[str]:
        for name in ("min_confidence", "max_silence", "max_clipping"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                yield f"{name} is {value}: it must be 0 to 1"

    def _numbers(self) -> Iterator[str]:
        for name in ("max_wer", "max_ctc_loss", "min_words_per_second", "max_words_per_second", "min_seconds"):
            if not (value := getattr(self, name)) >= 0:
                yield f"{name} is {value}: it must be 0 or more"
        if self.max_repeats < 1:
            yield f"max_repeats is {self.max_repeats}: it must be 1 or more"

    def _orders(self) -> Iterator[str]:
        if self.min_words_per_second > self.max_words_per_second:
            yield f"min_words_per_second is {self.min_words_per_second}: more than max_words_per_second"
        if self.max_seconds is not None and not self.max_seconds >= self.min_seconds:
            yield f"max_seconds is {self.max_seconds}: less than min_seconds ({self.min_seconds})"
