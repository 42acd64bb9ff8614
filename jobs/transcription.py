"""`steno transcribe`: speech to text with words and times, from where the audio lies to a table."""

from jobs.options import Transcribe
from jobs.setup import OutputHeldError, SetupError
from jobs.work import Report, carry_out
from pipeline.tally import Watch
from pipeline.tasks import Transcription

__all__ = ["OutputHeldError", "Report", "SetupError", "Transcribe", "transcribe"]


def transcribe(options: Transcribe, watch: Watch | None = None) -> Report:
    """Do what is planned and not done; `SetupError` says why nothing could start."""
    return carry_out(options, task(options), watch)


def task(options: Transcribe) -> Transcription:
    """What is made of each batch."""
    return Transcription(
        beam=options.beam,
        language=options.language,
        lm=options.lm,
        lm_weight=options.lm_weight,
        word_bonus=options.word_bonus,
        hotwords=options.hotwords,
        hotword_boost=options.hotword_boost,
        delay_seconds=options.delay_seconds,
        temperature=options.temperature,
    )
