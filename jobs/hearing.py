"""How recordings are cut for a run: by what is asked for, what its task needs, and what its model can hold."""

from jobs.options import Work
from jobs.options_audio import USUAL
from models import SpeechModel
from pipeline.audio import AudioRules
from pipeline.tasks import Task

LEAST = 2.0
"""Seconds of the longest piece, at least: shorter ones are not worth a cut."""


def audio_rules(options: Work, task: Task, model: SpeechModel) -> AudioRules:
    """The rules, the longest piece such that the model holds it; `ValueError` says what cannot be, a line each."""
    longest = options.longest_seconds or USUAL["longest_seconds"]
    found = task.audio(model, _asked(options, model, longest))
    if options.context_seconds and not found.context_seconds:
        raise ValueError(f"context_seconds is {options.context_seconds}: here it must be 0, or left out")
    room = _room(model, found)
    if room is None or longest <= room or found.window_seconds is not None or found.cut == "none":
        return found
    if options.longest_seconds is not None:
        around = f" with context_seconds ({found.context_seconds}) on both sides" if found.context_seconds else ""
        raise ValueError(f"longest_seconds is {longest}: {options.model} hears {room:.2f} at once{around}")
    return task.audio(model, _asked(options, model, max(LEAST, room)))


def _asked(options: Work, model: SpeechModel, longest: float) -> AudioRules:
    """What is said, and for what is not, what goes with the longest piece."""
    shortest = options.shortest_seconds
    if shortest is None:
        shortest = min(USUAL["shortest_seconds"], longest / 2)
    context = options.context_seconds
    return AudioRules(
        model.sample_rate,
        options.channels,  # type: ignore[arg-type]  # checked there
        options.cut,  # type: ignore[arg-type]
        longest_seconds=longest,
        shortest_seconds=shortest,
        context_seconds=USUAL["context_seconds"] if context is None else context,
        most_seconds=options.most_seconds,
        most_bytes=options.most_bytes,
        most_channels=options.most_channels,
        skip_longer_seconds=options.skip_longer_seconds,
        skip_shorter_seconds=options.skip_shorter_seconds,
        patience_seconds=options.patience_seconds,
        patience_seconds_per_megabyte=options.patience_seconds_per_megabyte,
        most_patience_seconds=options.most_patience_seconds,
    )


def _room(model: SpeechModel, rules: AudioRules) -> float | None:
    """Seconds that a piece may answer for beside its context, where the model has an end."""
    frames = model.encoder.longest
    return None if frames is None else frames * model.frontend.hop / model.sample_rate - 2 * rules.context_seconds
