"""What a run will take and cost, from a measured sample of it; and how far that was from what came.

What cannot be known before a cluster stands is said, not guessed: how its machines differ from this one.
"""

import json
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from jobs.measuring import Measured
from jobs.survey import Survey
from jobs.table import clock
from pipeline.resources import Resources
from pipeline.storage import Store, StoreError
from pipeline.tally import Tally

NAME = "forecast.json"
START, SWAY = 20.0, 8.0
"""Seconds until a cluster of this machine alone has workers, beside the loading of the model, and how far they may be
off: on two cores the engine alone took 19 s to its first batch, and with HuBERT base, loaded twice at once, 28 s."""
OFTEN = 1.1
"""From how many times on it is said how often models hear a second: a little, they do at every cut."""
UNSURE = 0.15
"""What the clock is mistaken by on a sample of seconds, as a share."""


@dataclass(frozen=True)
class Forecast:
    """What a run of the whole of what is left will take."""

    audio_seconds: float
    """As long as it is, however often models hear it."""
    audio_error: float
    """The standard error of that, as a share; 0 where the input tells every length."""
    wall_seconds: float
    wall_error: float
    """The same for the time: of the lengths, and of the clock."""
    cost: float | None
    """In the unit of the prices; None without prices."""
    recordings: int
    """Recordings that were really read."""
    heard: float
    """Seconds that the model really heard of them."""
    models: int
    """Models that were reckoned with."""
    elsewhere: bool
    """Whether the run will be on other machines than the one that measured."""
    weight: int
    """Bytes of audio that were left to do."""
    unpriced: bool = False
    """Whether prices were given, and none for the machines that were reckoned with."""
    times_heard: float = 1.0
    """Seconds that models will hear for each of the audio's: channels that are read apart, pieces that overlap."""
    sized: bool = True
    """Whether it is known how many models there will be."""

    @property
    def heard_seconds(self) -> float:
        """What models will hear, in all."""
        return self.audio_seconds * self.times_heard

    def rows(self) -> Iterator[tuple[str, str]]:
        """Lines of a table for people."""
        if not self.recordings:
            yield "forecast", "none: not one recording of a sample could be read"
            return
        if self.times_heard and not self.heard:
            yield "forecast", "none: nothing of a sample could be heard"
            return
        yield "forecast", f"{clock(self.audio_seconds)} of audio{_margin(self.audio_error)}"
        if self.times_heard > OFTEN:
            yield "", f"{clock(self.heard_seconds)} for models to hear: channels are read apart, or pieces overlap"
        margin = _margin(self.wall_error) if self.sized else ""
        yield "", f"{clock(self.wall_seconds)} with {_models(self.models)}{margin}"
        if not self.sized:
            yield "", "how many the cluster has room for is not known here: --pool says with how many to reckon"
        if self.cost is not None:
            yield (
                "",
                f"{self.cost:.4g} by the given prices, {3600 * self.cost / self.audio_seconds:.4g} an hour of audio",
            )
        if self.unpriced:
            yield "", "what it costs is unknown: no price is for such a machine, gpu=2.5 or cpu=0.04, say"
        yield "measured", f"{self.recordings} recordings read, {clock(self.heard)} of them heard, on this machine"
        if self.elsewhere:
            yield "", "the cluster's machines may be faster or slower, and its time to start is not known"


@dataclass(frozen=True)
class Compared:
    """A forecast beside what came."""

    forecast: Forecast
    whole: bool
    """Whether the run did what the forecast was of: nothing more was done or left when it began."""
    audio: float | None
    """What came as a multiple of what was foretold, here of what models heard; None where that was nothing."""
    wall: float | None
    """The same of the time it took."""
    cost: float | None
    """The same of the cost."""


def foretold(
    survey: Survey, found: Measured, resources: Resources, hourly: float | None, *, elsewhere: bool, fitted: float = 0.0
) -> Forecast:
    """Extrapolate a sample to the whole. One worker hears `fitted` seconds, at most, before the others begin."""
    audio, error = extent(survey, found.sizes)
    models = resources.listeners[1]
    hearing, reading = _paces(found)
    wall = START + found.loading + audio * _pace(hearing, reading, resources, elsewhere)
    if fitted and found.times:
        wall += found.loading + min(audio, fitted / found.times) * (hearing + reading)
    return Forecast(
        audio_seconds=audio,
        audio_error=error,
        wall_seconds=wall,
        wall_error=math.hypot(error, UNSURE, SWAY / wall),
        cost=None if hourly is None else hourly * wall / 3600,
        recordings=len(found.sizes),
        heard=found.heard,
        models=models,
        elsewhere=elsewhere,
        weight=survey.weight,
        times_heard=found.times,
    )


def extent(survey: Survey, sizes: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Seconds of all audio that is left, and the standard error of that as a share of it.

    What is not told is told by bytes, at the sample's seconds per byte; what has no size either, by the mean length.
    """
    if not sizes:
        return survey.timed, 0.0 if not survey.bytes and not survey.unsized else 1.0
    mean = statistics.fmean(seconds for _, seconds in sizes)
    bytes_, seconds = sum(size for size, _ in sizes), sum(length for _, length in sizes)
    ratio = seconds / bytes_ if bytes_ else 0.0
    guessed = survey.bytes * ratio + survey.unsized * mean
    total = survey.timed + guessed
    return total, (guessed / total * _error(sizes, ratio) if total else 0.0)


def keep(store: Store, forecast: Forecast) -> None:
    """Leave it for the run to come."""
    store.put(NAME, json.dumps(asdict(forecast), indent=2, sort_keys=True).encode())


def kept(store: Store) -> Forecast | None:
    """The one that was left, if there is one."""
    try:
        return Forecast(**json.loads(store.read(NAME)))
    except (StoreError, ValueError, TypeError):
        return None


def compared(forecast: Forecast | None, tally: Tally, wall: float) -> Compared | None:
    """How far off it was."""
    if forecast is None or not tally.missing:
        return None
    return Compared(
        forecast,
        whole=forecast.weight == tally.missing,
        audio=_times(tally.heard, forecast.heard_seconds),
        wall=_times(wall, forecast.wall_seconds),
        cost=_times(tally.cost, forecast.cost or 0.0),
    )


def _paces(found: Measured) -> tuple[float, float]:
    """Seconds that hearing and reading take for a second of audio."""
    hearing = found.times * found.hearing / found.heard if found.heard else 0.0
    return hearing, found.reading / found.read if found.read else 0.0


def _pace(hearing: float, reading: float, resources: Resources, elsewhere: bool) -> float:
    """Seconds of a run for a second of audio: the slowest of reading, hearing, and both on one machine's cores."""
    most = resources.listeners[1]
    readers = max(resources.readers, min(resources.most_readers, resources.readers * most / resources.begun))
    alone = max(hearing / most, reading / readers)
    if elsewhere or resources.listener_gpus:
        return alone
    cores = resources.listener_cpus * most + resources.reader_cpus * resources.readers
    return max(alone, (hearing * resources.listener_threads + reading) / max(1.0, cores))


def _error(sizes: Sequence[tuple[int, float]], ratio: float) -> float:
    """The standard error of a ratio, as a share; of fewer than two, as large as what is measured."""
    count, seconds = len(sizes), sum(length for _, length in sizes)
    if count < 2 or not seconds:
        return 1.0
    squares = sum((length - ratio * size) ** 2 for size, length in sizes)
    return math.sqrt(squares * count / (count - 1)) / seconds


def _margin(error: float) -> str:
    """Nineteen times of twenty it is within two standard errors."""
    return f", give or take {min(2 * error, 1):.0%}" if error else ""


def _models(count: int) -> str:
    return "1 model" if count == 1 else f"{count:,} models"


def _times(came: float, foretold: float) -> float | None:
    return came / foretold if foretold else None
