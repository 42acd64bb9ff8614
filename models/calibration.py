"""Whether confidence can be believed, and the temperature that makes it so.

Of words that are said to be right with 80%, 80% should be. A temperature divides all logits before posteriors are
taken of them, and changes no word; it is fitted on clips whose text is known. So is, on words whose times are known,
how late a checkpoint writes. What was found may stand in calibration.json beside config.json: ours, not published.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import exp, inf, log, sqrt
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.config import read, read_json, write_json

NAME = "calibration.json"
LATEST = 1.0
"""Seconds that no checkpoint is late by."""


@dataclass(frozen=True)
class Calibration:
    """What was found out about a checkpoint on clips whose words are known."""

    delay_seconds: float = 0.0
    """How late it writes what it hears: see `fit_delay`."""
    temperature: float = 1.0
    """What logits are divided by before posteriors are taken: above 1, less sure. See `fit_temperature`."""

    def flaws(self) -> list[str]:
        """Values that cannot be meant."""
        flaws = []
        if not -LATEST <= self.delay_seconds <= LATEST:
            flaws.append(f"delay_seconds is {self.delay_seconds}; from {-LATEST} to {LATEST} seconds can be meant")
        if not 0 < self.temperature < inf:
            flaws.append(f"temperature is {self.temperature}; a number above 0 is needed")
        return flaws


AS_PUBLISHED = Calibration()
"""Of a checkpoint of which nothing was found out."""


def read_calibration(folder: Path) -> tuple[Calibration, list[str]]:
    """What calibration.json in a checkpoint's folder says, where there is one, and what is wrong with it."""
    path = folder / NAME
    if not path.is_file():
        return AS_PUBLISHED, []
    found, problems = read(AS_PUBLISHED, read_json(path))
    return found, [f"{NAME}: {problem}" for problem in problems + found.flaws()]


def write_calibration(calibration: Calibration, folder: Path) -> None:
    """Into a checkpoint's folder, where it says something."""
    if calibration != AS_PUBLISHED:
        write_json(folder / NAME, asdict(calibration))


@dataclass(frozen=True)
class Bin:
    """Words of like confidence."""

    low: float
    high: float
    count: int
    confidence: float
    """Mean of what was said."""
    right: float
    """Share that was right."""


def reliability(confidences: npt.ArrayLike, right: npt.ArrayLike, bins: int = 10) -> list[Bin]:
    """The diagram's bars, those without a word left out."""
    said, true = np.asarray(confidences, np.float64), np.asarray(right, np.float64)
    if said.shape != true.shape:
        raise ValueError(f"{said.size} confidences for {true.size} words; one each is needed")
    places = np.minimum((said * bins).astype(int), bins - 1)
    full = [(i, places == i) for i in range(bins) if (places == i).any()]
    return [
        Bin(i / bins, (i + 1) / bins, int(here.sum()), float(said[here].mean()), float(true[here].mean()))
        for i, here in full
    ]


def expected_calibration_error(confidences: npt.ArrayLike, right: npt.ArrayLike, bins: int = 10) -> float:
    """How far what is said is from what is right, over all words; 0 for none."""
    bars = reliability(confidences, right, bins)
    words = sum(bar.count for bar in bars)
    return sum(bar.count * abs(bar.confidence - bar.right) for bar in bars) / words if words else 0.0


Judged = tuple[Sequence[float], Sequence[bool]]
"""Confidences, and whether each word was right."""


def fit_temperature(judge: Callable[[float], Judged], low: float = 0.25, high: float = 8.0, steps: int = 24) -> float:
    """The temperature at which what is right was least surprising.

    `judge` reads the reference set at a temperature. Golden-section search over logarithms.
    """
    a, b = log(low), log(high)
    shrink = (sqrt(5) - 1) / 2
    c, d = b - shrink * (b - a), a + shrink * (b - a)
    at_c, at_d = surprise(*judge(exp(c))), surprise(*judge(exp(d)))
    for _ in range(steps):
        if at_c < at_d:
            b, d, at_d = d, c, at_c
            c = b - shrink * (b - a)
            at_c = surprise(*judge(exp(c)))
        else:
            a, c, at_c = c, d, at_d
            d = a + shrink * (b - a)
            at_d = surprise(*judge(exp(d)))
    return exp((a + b) / 2)


Edges = Sequence[tuple[float, float]]
"""Where words begin and end."""


def fit_delay(told: Edges, known: Edges) -> float:
    """How much later than known words are told to begin and end: the median over both; 0 for no word.

    Frames say where a model looks, but not where it writes: some checkpoints learned to write a little after what they
    hear. In the unit of the edges; `SpeechModel.transcribe(delay_seconds=...)` takes it off again.
    """
    if len(told) != len(known):
        raise ValueError(f"{len(told)} words for {len(known)} whose times are known; the same words are needed")
    return float(np.median(np.subtract(told, known))) if len(told) else 0.0


def surprise(confidences: Sequence[float], right: Sequence[bool]) -> float:
    """Mean negative log-likelihood, in nats; 0 for no word."""
    said = np.clip(np.asarray(confidences, np.float64), 1e-6, 1 - 1e-6)
    true = np.asarray(right, bool)
    return float(-np.log(np.where(true, said, 1 - said)).mean()) if said.size else 0.0
