"""How fast a model hears on this machine: noise, in batches that grow until there is something to tell by."""

import time
from dataclasses import dataclass

import torch

from models import SpeechModel

CLIP = 5.0
"""Seconds of a clip."""
MOST = {"cpu": 8, "cuda": 32}
"""Clips of the largest batch: what a run's batches hold there."""
ENOUGH = 3.0
"""Seconds after which no larger batch is tried."""


@dataclass(frozen=True)
class Pace:
    """What was found. Noise is not speech: a decoder may write more, or less, of it."""

    real_time: float
    """Seconds of audio that are heard in a second."""
    where: str
    """On what."""

    def text(self) -> str:
        """For people."""
        figure = f"{self.real_time:,.0f}" if self.real_time >= 10 else f"{self.real_time:.1f}"
        return f"about {figure} times real time here, on {self.where}"


def pace(model: SpeechModel) -> Pace:
    """Features and model, as a run computes them; the last batch counts, and those before it warm up."""
    began, clips, took = time.monotonic(), 1, 0.0
    while True:
        took = _seconds(model, clips)
        if clips >= MOST[model.device.type] or time.monotonic() - began > ENOUGH:
            return Pace(clips * CLIP / took, _where(model.device))
        clips *= 2


def _seconds(model: SpeechModel, clips: int) -> float:
    chance = torch.Generator().manual_seed(clips)
    noise = 0.1 * torch.randn(clips, int(CLIP * model.sample_rate), generator=chance)
    began = time.monotonic()
    model.predict(model.frontend(list(noise)))
    return time.monotonic() - began


def _where(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{threads} threads of the processor" if threads > 1 else "1 thread of the processor"
