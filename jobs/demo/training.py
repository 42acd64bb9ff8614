"""Learning from fresh speech, batch after batch.

The learning rate follows the number of steps, so a seed and that number say what comes out, however slow the machine.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor, nn

from jobs.demo.crowd import crowded
from jobs.demo.lessons import Lesson, Texts, lessons_ahead
from models.model import SpeechModel

WARM_UP = 0.05
"""The share of the steps in which the learning rate rises."""
LARGEST_STEP = 1.0
"""Of the gradient's norm."""
EVERY_STEPS = 50
"""Steps from one line of the log to the next."""
SAVE_SECONDS = 120.0
LEAST_PHONEMES = 0.1
"""What phonemes still count for, beside the text, in the second half."""
TOGETHER = 2
"""Lessons of a step, of long recordings."""
NARROW = 32
"""A matrix with fewer rows or columns is no matter for Muon."""


class Teacher(Protocol):
    """What a batch costs a kind of model."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Of the layers that are thrown away after training."""
        ...

    def cost(self, model: SpeechModel, lesson: Lesson) -> tuple[Tensor, Tensor]:
        """Of the text, and of the phonemes."""
        ...


@dataclass(frozen=True)
class Course:
    """How to train."""

    steps: int
    rate: float
    """The highest learning rate."""
    seed: int
    """Of the sentences, speakers and rooms."""
    texts: Texts
    """What is said."""
    planned: int
    """Steps over which the rate comes down; training may stop before."""
    joined: tuple[int, ...] = ()
    """Sentences of the longest recordings, as they grow; nothing for single sentences. Of long recordings matrices
    learn by Muon, which needs fewer steps, and from `TOGETHER` lessons at a time."""
    crowded: bool = False
    """Whether attention learns to choose among more than is heard."""

    @property
    def together(self) -> int:
        """Lessons of a step."""
        return TOGETHER if self.joined else 1

    def rate_at(self, step: int) -> float:
        """Up in a line, and down in a line."""
        done = step / self.planned
        return self.rate * min((step + 1) / (WARM_UP * self.planned), (1 - done) / (1 - WARM_UP))

    def phonemes_at(self, step: int) -> float:
        """What phonemes count for."""
        return max(LEAST_PHONEMES, 1 - 2 * step / self.planned)


def train(model: SpeechModel, teacher: Teacher, course: Course, save: Callable[[SpeechModel], None]) -> None:
    """Teach a model; it is saved now and then, and at the end."""
    parameters = [*model.parameters(), *teacher.parameters()]
    optimizers = optimizers_of(model, teacher, course)
    progress = Progress(course.steps)
    saved, chance = time.monotonic(), random.Random(course.seed)  # noqa: S311
    with lessons_ahead(course.seed, course.texts, course.joined) as stream:
        for step in range(course.steps):
            for optimizer in optimizers:
                optimizer.zero_grad()
                for group in optimizer.param_groups:
                    group["lr"] = course.rate_at(step)
            for lesson in islice(stream, course.together):
                with crowded(lesson.length, chance.random()) if course.crowded else nullcontext():
                    text, phonemes = teacher.cost(model, lesson)
                ((text + course.phonemes_at(step) * phonemes) / course.together).backward()
                progress.hear(lesson, text.item() / course.together, phonemes.item() / course.together)
            nn.utils.clip_grad_norm_(parameters, LARGEST_STEP)
            for optimizer in optimizers:
                optimizer.step()
            progress.tell()
            if time.monotonic() - saved > SAVE_SECONDS:
                save(model)
                saved = time.monotonic()
    save(model)


def optimizers_of(model: SpeechModel, teacher: Teacher, course: Course) -> list[torch.optim.Optimizer]:
    """What moves the weights: Adam, and Muon for the matrices of an encoder that hears long recordings."""
    named = model.named_parameters() if course.joined else ()
    matrices = [weight for name, weight in named if name.startswith("encoder.") and _is_wide(weight)]
    theirs = set(map(id, matrices))
    others = [weight for weight in (*model.parameters(), *teacher.parameters()) if id(weight) not in theirs]
    adam = torch.optim.AdamW(others, course.rate, betas=(0.9, 0.98), weight_decay=0.01)
    if not matrices:
        return [adam]
    return [adam, torch.optim.Muon(matrices, course.rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")]


def _is_wide(weight: Tensor) -> bool:
    return weight.ndim == 2 and min(weight.shape) >= NARROW


class Progress:
    """A line now and then."""

    def __init__(self, steps: int) -> None:
        self._steps, self._done, self._seconds = steps, 0, 0.0
        self._text = self._phonemes = 0.0
        self._start = time.monotonic()

    def hear(self, lesson: Lesson, text: float, phonemes: float) -> None:
        """Count what is learned from."""
        self._seconds += lesson.seconds
        self._text, self._phonemes = self._text + text, self._phonemes + phonemes

    def tell(self) -> None:
        """Count a step, and print the mean cost of the last ones."""
        self._done += 1
        if self._done % EVERY_STEPS:
            return
        pace = self._done / (time.monotonic() - self._start)
        print(
            f"step {self._done} of {self._steps}  {self._seconds / 3600:.1f} h heard  "
            f"text {self._text / EVERY_STEPS:.3f}  phonemes {self._phonemes / EVERY_STEPS:.3f}  "
            f"{pace:.2f} steps/s, {(self._steps - self._done) / pace / 60:.0f} min to go",
            flush=True,
        )
        self._text = self._phonemes = 0.0
