"""`python -m jobs.demo.recipe`: make the demo's corpus and checkpoints anew.

What ships was made so. It takes espeak-ng and, on two cores, an evening; nothing else in the project needs it.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from cyclopts import App

from jobs.demo.corpus import write_corpus
from jobs.demo.espeak import EspeakError
from jobs.demo.evaluate import write_figures
from jobs.demo.grammar import training_sentences
from jobs.demo.keywords import keywords
from jobs.demo.lateness import write_delays
from jobs.demo.lessons import inventory
from jobs.demo.newborn import begin_from, newborn, sharpen
from jobs.demo.spelling import Translation
from jobs.demo.students import STUDENTS, Student
from jobs.demo.teaching import CtcTeacher, KeywordTeacher, WriterTeacher
from jobs.demo.training import Course, Teacher, train
from models import load_model
from models.checkpoint import write_checkpoint
from models.model import SpeechModel

HERE = Path(__file__).parent
CORPUS, CHECKPOINTS = HERE / "corpus", HERE / "checkpoints"

Family = Literal["lasr", "hubert", "unispeech", "sew-d", "keywords", "speech2text"]


@dataclass(frozen=True)
class Lap:
    """A course of training, in which the learning rate rises once and falls."""

    steps: int
    """Batches of eight recordings."""
    seed: int
    """Of the speech, and of the weights where it is the first."""
    rate: float
    """The highest learning rate."""
    planned: int = 0
    """Steps in which the rate would come down all the way; 0 for `steps`."""
    joined: tuple[int, ...] = ()
    """Sentences of the longest recordings, as they grow; nothing for single sentences. A batch is then some 40 s, and
    a step is learned from two."""
    crowded: bool = False
    """Whether what is far away counts as if it were heard many times, as in recordings of up to ten minutes."""
    sharper: float = 1.0
    """What queries are multiplied by before it, as attention chooses among more than it has heard at once."""


@dataclass(frozen=True)
class Recipe:
    """How one checkpoint is made."""

    courses: tuple[Lap, ...]
    """One after another."""
    begin: Family | None = None
    """The checkpoint whose weights it begins with, where their shapes agree."""


RECIPES: Mapping[Family, Recipe] = {
    "lasr": Recipe(
        (
            Lap(1108, 0, 2e-3),
            Lap(900, 10, 1.2e-3),
            Lap(400, 20, 1.5e-3, 900, joined=(4, 8, 16, 32)),
            Lap(107, 30, 1e-3, joined=(32,)),
            Lap(170, 40, 6e-4, joined=(16,), crowded=True, sharper=1.3),
        )
    ),
    "hubert": Recipe(
        (Lap(470, 0, 1.5e-3, 2000), Lap(650, 20, 1.3e-3), Lap(650, 30, 1.3e-3, 1200), Lap(1800, 40, 1.2e-3))
    ),
    "unispeech": Recipe((Lap(400, 1, 8e-4), Lap(700, 11, 8e-4), Lap(1200, 21, 1e-3)), "hubert"),
    "sew-d": Recipe(
        (Lap(800, 2, 1.5e-3), Lap(250, 22, 1.5e-3, 1500), Lap(2000, 32, 1.4e-3), Lap(3000, 42, 1.2e-3)), "hubert"
    ),
    "keywords": Recipe((Lap(200, 3, 7e-4),), "hubert"),
    "speech2text": Recipe(
        (
            Lap(220, 4, 1.5e-3, 2000),
            Lap(1000, 14, 1.5e-3),
            Lap(600, 24, 1.2e-3, 1000),
            Lap(2000, 34, 1.2e-3),
            Lap(2200, 44, 1e-3),
        )
    ),
}
"""In an order in which every beginning is there. To save time, what ships began with HuBERT as it was then: SEW-D after
its first course, the classifier after its second. LASR's last three named phonemes by one layer."""

app = App("recipe", help=__doc__)


@app.command
def speak(*, out: Path = CORPUS, seed: int = 0) -> None:
    """Make the corpus: recordings of held-out sentences in many forms, and what is true of them.

    Parameters
    ----------
    out
        The folder to make; one that is there is replaced.
    seed
        The same seed makes the same corpus.
    """
    truths = write_corpus(out, seed)
    print(f"{out}: {len(truths)} recordings, {sum(truth.seconds for truth in truths) / 60:.1f} minutes")


@app.command
def teach(
    family: Family,
    /,
    *,
    out: Path = CHECKPOINTS,
    seed: int | None = None,
    steps: int | None = None,
    rate: float | None = None,
    begin: Path | None = None,
    threads: int = 2,
) -> None:
    """Train one checkpoint.

    Parameters
    ----------
    family
        What to train; a checkpoint of its name is made.
    out
        The folder of checkpoints, which also holds those that others begin with.
    seed
        Of weights and speech, for one course; the recipe's own make what ships.
    steps
        Batches of eight recordings, for one course.
    rate
        The highest learning rate, for one course.
    begin
        Another checkpoint to begin with.
    threads
        Of the processor.
    """
    torch.set_num_threads(threads)
    recipe, student = RECIPES[family], STUDENTS[family]
    laps = _told(recipe.courses, seed, steps, rate)
    model = newborn(student, laps[0].seed)
    if first := begin or (out / recipe.begin if recipe.begin else None):
        print(f"{begin_from(model, load_model(str(first)))} tensors of {first}")
    print(f"{family}: {sum(parameter.numel() for parameter in model.parameters()):,} parameters")
    texts = keywords if family == "keywords" else training_sentences
    for lap in laps:
        sharpen(model, lap.sharper)
        course = Course(lap.steps, lap.rate, lap.seed, texts, lap.planned or lap.steps, lap.joined, lap.crowded)
        teacher = teacher_of(model, student, len(inventory()))
        train(model, teacher, course, lambda trained: save(trained, student, out / family))


def _told(laps: tuple[Lap, ...], seed: int | None, steps: int | None, rate: float | None) -> tuple[Lap, ...]:
    """The recipe's courses, or a single one of which something is told."""
    if seed is None and steps is None and rate is None:
        return laps
    first = laps[0]
    return (Lap(steps or first.steps, first.seed if seed is None else seed, rate or first.rate),)


@app.command
def measure(*, checkpoints: Path = CHECKPOINTS, corpus: Path = CORPUS) -> None:
    """Write figures.json: how well every checkpoint does on the corpus."""
    for name, figure in write_figures(checkpoints, corpus).items():
        print(f"{name:12} {figure.measure} {figure.value:.1%} (goal {figure.goal:.0%}), {figure.recordings} recordings")


@app.command
def late(*, checkpoints: Path = CHECKPOINTS, corpus: Path = CORPUS) -> None:
    """Write calibration.json beside every checkpoint that writes: how late it does, by fresh speech."""
    for name, seconds in write_delays([checkpoints / family for family in RECIPES], corpus):
        print(f"{name:12} {1000 * seconds:.0f} ms late")


@app.command
def everything(*, corpus: Path = CORPUS, checkpoints: Path = CHECKPOINTS) -> None:
    """The corpus, every checkpoint in its order, how late they write, and their figures."""
    speak(out=corpus)
    for family in RECIPES:
        teach(family, out=checkpoints)
    late(checkpoints=checkpoints, corpus=corpus)
    measure(checkpoints=checkpoints, corpus=corpus)


def save(model: SpeechModel, student: Student, folder: Path) -> None:
    """A published folder: configuration, weights, front end, vocabulary."""
    write_checkpoint(model, student.config, folder)
    (folder / "model.safetensors").chmod(0o644)
    if student.spelling is not None:
        student.spelling.write(folder)


def teacher_of(model: SpeechModel, student: Student, phonemes: int) -> Teacher:
    """What suits its kind of head."""
    match student.spelling:
        case None:
            return KeywordTeacher()
        case Translation():
            return WriterTeacher(model, student.spelling, phonemes)
        case _:
            return CtcTeacher(model, student.spelling, phonemes)


def main() -> int:
    """Run what the command line says; 1 where speech cannot be made."""
    try:
        app()
    except EspeakError as error:
        print(f"recipe: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
