"""What a run asks of its audio, and the error of a recording that cannot meet it."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, get_args

from pipeline.schema import FAILED, Failure, Recording, Span

STAGE = "audio"
Channels = Literal["mix", "first", "each"]
Cut = Literal["quiet", "silero", "none"]
SILERO_RATE = 16_000
SHORTEST_WINDOW = 0.05
"""Seconds: with less a model has next to nothing to hear, and a recording falls into very many."""


class AudioError(Exception):
    """A recording that cannot be heard: it becomes a row, never a stop."""

    def __init__(self, kind: str, message: str, status: str = FAILED) -> None:
        super().__init__(message)
        self.failure = Failure(kind, STAGE, message, status)


@dataclass(frozen=True)
class AudioRules:
    """How audio is read and cut. Wrong values are refused together, when it is made."""

    sample_rate: int = 16_000
    """Samples per second that the model hears."""
    channels: Channels = "mix"
    """`mix` averages them, `first` takes the first, `each` makes a row of every one. A recording that names its
    channel gets that one."""
    cut: Cut = "quiet"
    """Where long recordings are cut: at the `quiet`est place, between speech as `silero` hears it, or `none`: a
    recording is then one segment and is held whole in memory."""
    longest_seconds: float = 30.0
    """A recording up to this long is one segment; none answers for more."""
    shortest_seconds: float = 10.0
    """No piece of a cut recording answers for less; at most half of `longest_seconds`."""
    context_seconds: float = 1.0
    """Heard on both sides of a cut beside what a segment answers for. 0 for a model whose tokens have no times: it
    would write the context's words twice."""
    window_seconds: float | None = None
    """Instead of all that: windows of this length, from the first sample to the last."""
    hop_seconds: float | None = None
    """From the start of one window to that of the next; None is a window's length."""
    most_seconds: float = 86_400.0
    """A recording that decodes to more fails."""
    most_bytes: int = 32 << 30
    """A recording that decodes to more bytes (4 for each sample of each channel) fails."""
    most_channels: int = 64
    """A recording with more fails."""
    skip_longer_seconds: float | None = None
    """Longer recordings are skipped; None skips none."""
    skip_shorter_seconds: float | None = None
    """Shorter recordings are skipped; None skips none."""
    patience_seconds: float = 60.0
    """What any recording may take to decode."""
    patience_seconds_per_megabyte: float = 30.0
    """And what it may take beyond that for every megabyte of encoded audio."""
    most_patience_seconds: float = 3_600.0
    """The time limit of a recording however large, and of one whose size is not known."""

    def __post_init__(self) -> None:
        if problems := _problems(self):
            raise ValueError("\n".join(problems))

    def seconds_limit(self, recording: Recording) -> float:
        """Seconds after which its decoder may be taken for one that never ends."""
        size = _bytes(recording.audio)
        if size is None:
            return self.most_patience_seconds
        patience = self.patience_seconds + self.patience_seconds_per_megabyte * size / 1e6
        return min(patience, self.most_patience_seconds)


def _bytes(audio: bytes | Span | None) -> int | None:
    if isinstance(audio, Span):
        return None if audio.end is None else audio.end - audio.begin
    return len(audio or b"")


def _problems(rules: AudioRules) -> list[str]:
    checks = {
        f"channels is {rules.channels!r}: it must be one of {_names(get_args(Channels))}": (
            rules.channels in get_args(Channels)
        ),
        f"cut is {rules.cut!r}: it must be one of {_names(get_args(Cut))}": rules.cut in get_args(Cut),
        f"sample_rate is {rules.sample_rate}: it must be 1000 or more": rules.sample_rate >= 1000,
        f"shortest_seconds is {rules.shortest_seconds}: it must be 1 or more": rules.shortest_seconds >= 1,
        f"longest_seconds is {rules.longest_seconds}: it must be at least twice shortest_seconds "
        f"({rules.shortest_seconds})": rules.longest_seconds >= 2 * rules.shortest_seconds,
        f"context_seconds is {rules.context_seconds}: it must lie between 0 and shortest_seconds "
        f"({rules.shortest_seconds})": 0 <= rules.context_seconds <= rules.shortest_seconds,
        f"window_seconds is {rules.window_seconds}: it must be {SHORTEST_WINDOW} or more": (
            rules.window_seconds is None or rules.window_seconds >= SHORTEST_WINDOW
        ),
        f"hop_seconds is {rules.hop_seconds}: it must be {SHORTEST_WINDOW} or more, and window_seconds "
        f"({rules.window_seconds}) at most": (
            rules.hop_seconds is None or SHORTEST_WINDOW <= rules.hop_seconds <= (rules.window_seconds or 0)
        ),
        "most_seconds, most_bytes and most_channels must be more than 0": (
            min(rules.most_seconds, rules.most_bytes, rules.most_channels) > 0
        ),
        "cut is 'silero', and silero-vad is not installed: pip install -e '.[silero]' in the project's folder": (
            rules.cut != "silero" or find_spec("silero_vad") is not None
        ),
        f"cut is 'silero' and sample_rate is {rules.sample_rate}: silero hears {SILERO_RATE}": (
            rules.cut != "silero" or rules.sample_rate == SILERO_RATE
        ),
    }
    return [problem for problem, met in checks.items() if not met]


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names))
