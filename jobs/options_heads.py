"""What the jobs can be told that ask a model for something else than text."""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from jobs.options import SWITCH, Work, odd_calibration
from jobs.options_corpus import MANY

FRAME_DTYPES = ("float32", "float16")
SHORTEST_WINDOW = 0.05
"""Seconds."""


@dataclass(frozen=True)
class Label(Work):
    """What to label, with what, and where to."""

    _: KW_ONLY
    top: int = 5
    """Labels of each recording and each window, the best ones."""
    window_seconds: float | None = None
    """Label windows of this length, too; without it, recordings only."""
    hop_seconds: float | None = None
    """From the start of one window to that of the next; without it, a window's length."""

    @property
    def decisive(self) -> Mapping[str, str | int | float | bool | None]:
        """The options that change labels."""
        windows = {"window_seconds": self.window_seconds, "hop_seconds": self.hop_seconds}
        told = {name: value for name, value in windows.items() if value is not None}
        return {**super().decisive, "job": "label", "top": self.top, **told}

    def _numbers(self) -> Iterator[str]:
        yield from super()._numbers()
        if self.top < 1:
            yield f"top is {self.top}: it must be 1 or more"
        if self.window_seconds is not None and self.window_seconds < SHORTEST_WINDOW:
            yield f"window_seconds is {self.window_seconds}: it must be {SHORTEST_WINDOW} or more"
        yield from self._hops()

    def _hops(self) -> Iterator[str]:
        window, hop = self.window_seconds, self.hop_seconds
        if hop is not None and window is None:
            yield "hop_seconds is for windows: window_seconds says how long they are"
        elif hop is not None and not SHORTEST_WINDOW <= hop <= (window or 0):
            yield f"hop_seconds is {hop}: it must be {SHORTEST_WINDOW} or more, and window_seconds ({window}) at most"


@dataclass(frozen=True)
class Align(Work):
    """What to align, with what, and where to."""

    _: KW_ONLY
    references: str | None = None
    """A file of texts, where the input has none or other ones: JSON lines, TSV or CSV with a header, as `steno score`
    takes them, or a recording's id, a tab and its text in each line."""
    longest_hours: float = 2.0
    """Longer recordings are skipped: each is held whole, in about 250 MB an hour."""
    delay_seconds: float | None = None
    """How late the checkpoint writes what it hears; without it, what its calibration.json says, or 0."""

    @property
    def decisive(self) -> Mapping[str, str | int | float | bool | None]:
        """The options that change times."""
        delay = {} if self.delay_seconds is None else {"delay_seconds": self.delay_seconds}
        return {**super().decisive, "job": "align", "longest_hours": self.longest_hours, **delay}

    @property
    def files(self) -> Mapping[str, str]:
        """The texts."""
        return {} if self.references is None else {"references": self.references}

    def _numbers(self) -> Iterator[str]:
        yield from super()._numbers()
        if not self.longest_hours > 0:
            yield f"longest_hours is {self.longest_hours}: it must be more than 0"
        yield from odd_calibration(self.delay_seconds)


@dataclass(frozen=True)
class Embed(Work):
    """What to embed, with what, and where to."""

    _: KW_ONLY
    layer: int | None = None
    """The layer whose frames are averaged, 0 being what the first one reads; without it, the encoder's output."""
    frames: Annotated[bool, SWITCH] = False
    """Write the frames of `layers` too, in files beside the table that its rows name."""
    layers: Annotated[tuple[int, ...], MANY] = ()
    """Layers whose frames are written."""
    frame_dtype: str = "float32"
    """`float32` or `float16`, of the frames that are written."""

    @property
    def decisive(self) -> Mapping[str, str | int | float | bool | None]:
        """The options that change vectors."""
        told: dict[str, str | int | float | bool | None] = {} if self.layer is None else {"layer": self.layer}
        if self.frames:
            told |= {"layers": " ".join(map(str, self.layers)), "frame_dtype": self.frame_dtype}
        return {**super().decisive, "job": "embed", **told}

    @property
    def idle(self) -> Mapping[str, str]:
        """What is for frames, where none are written."""
        unmeant = self.frames or self.frame_dtype not in FRAME_DTYPES
        return {
            **super().idle,
            **({} if unmeant else {"frame_dtype": "it is for frames that are written: add --frames"}),
        }

    def flaws(self) -> list[str]:
        """Every value that cannot be meant, in a sentence each."""
        found = super().flaws()
        if self.frame_dtype not in FRAME_DTYPES:
            found.append(f"frame_dtype is {self.frame_dtype!r}: it must be float32 or float16")
        if self.frames and not self.layers:
            found.append("frames are of layers: name them, as in --layers 6 --layers 12")
        if self.layers and not self.frames:
            found.append("layers are those whose frames are written: add --frames, or name one --layer to average")
        if len(set(self.layers)) < len(self.layers):
            found.append(f"layers are {' '.join(map(str, self.layers))}: each can be written once")
        return found


@dataclass(frozen=True)
class Units(Work):
    """What to turn into units, with what, and where to."""

    _: KW_ONLY
    layer: int | None = None
    """The layer whose frames are clustered, 0 being what the first one reads; without it, the encoder's output."""
    clusters: int = 100
    """How many different units there are."""
    fit_minutes: float = 60.0
    """Audio that the clusters are fitted on, at most: `inf` is the whole corpus, heard by one worker."""
    seed: int = 0
    """Draws the sample and where the clusters begin; the same seed gives the same units."""
    codes: Annotated[bool, SWITCH] = False
    """The model's own codes instead of clusters, for a UniSpeech pre-training checkpoint."""
    runs: Annotated[bool, SWITCH] = False
    """Write a unit that follows itself once, and in `unit_frames` for how many frames it goes on."""

    @property
    def decisive(self) -> Mapping[str, str | int | float | bool | None]:
        """The options that change units."""
        how: dict[str, str | int | float | bool | None] = {"codes": True}
        if not self.codes:
            how = {"clusters": self.clusters, "fit_minutes": str(self.fit_minutes), "seed": self.seed}
            how |= {} if self.layer is None else {"layer": self.layer}
        return {**super().decisive, "job": "units", "runs": self.runs, **how}

    @property
    def idle(self) -> Mapping[str, str]:
        """What is for clusters, where the units are codes."""
        names = ("clusters", "fit_minutes", "seed") if self.codes else ()
        return {**super().idle, **dict.fromkeys(names, "codes are the model's own, and no clusters are fitted")}

    def _numbers(self) -> Iterator[str]:
        yield from super()._numbers()
        if self.codes and self.layer is not None:
            yield "codes are read off the convolutions: leave out layer, or codes"
        if not self.codes and self.clusters < 2:
            yield f"clusters is {self.clusters}: it must be 2 or more"
        if not self.codes and not self.fit_minutes > 0:
            yield f"fit_minutes is {self.fit_minutes}: it must be more than 0"
