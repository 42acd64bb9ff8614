"""What a person runs. `from jobs import Transcribe, transcribe` is the command line's job in Python."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.aligning import Align, align
    from jobs.checkup import Doctor, doctor
    from jobs.clustering import Units, units
    from jobs.describing import Describe, describe
    from jobs.embedding import Embed, embed
    from jobs.exporting import Export, Exported, export
    from jobs.filtering import Filter, Filtered, filter_rows
    from jobs.increment import Incremental, incremental
    from jobs.labelling import Label, label
    from jobs.reporting import Reporting, report
    from jobs.retrying import Retry, retry
    from jobs.scoring import Score, score
    from jobs.transcription import OutputHeldError, Report, SetupError, Transcribe, transcribe
    from jobs.verifying import Verify, verify

__all__ = [
    "Align",
    "Describe",
    "Doctor",
    "Embed",
    "Export",
    "Exported",
    "Filter",
    "Filtered",
    "Incremental",
    "Label",
    "OutputHeldError",
    "Report",
    "Reporting",
    "Retry",
    "Score",
    "SetupError",
    "Transcribe",
    "Units",
    "Verify",
    "align",
    "describe",
    "doctor",
    "embed",
    "export",
    "filter_rows",
    "incremental",
    "label",
    "report",
    "retry",
    "score",
    "transcribe",
    "units",
    "verify",
]

PLACES = {
    "Units": "clustering",
    "units": "clustering",
    "Describe": "describing",
    "describe": "describing",
    "Doctor": "checkup",
    "doctor": "checkup",
    "Verify": "verifying",
    "verify": "verifying",
    "Align": "aligning",
    "align": "aligning",
    "Embed": "embedding",
    "embed": "embedding",
    "Export": "exporting",
    "Exported": "exporting",
    "export": "exporting",
    "Filter": "filtering",
    "Filtered": "filtering",
    "filter_rows": "filtering",
    "Incremental": "increment",
    "incremental": "increment",
    "Label": "labelling",
    "label": "labelling",
    "Reporting": "reporting",
    "report": "reporting",
    "Retry": "retrying",
    "retry": "retrying",
    "Score": "scoring",
    "score": "scoring",
}
"""The modules of what does not lie in `transcription`."""


def __getattr__(name: str) -> object:
    """Import a job when it is asked for: torch and the engine take seconds, and `steno --help` needs neither."""
    if name not in __all__:
        raise AttributeError(f"module 'jobs' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"jobs.{PLACES.get(name, 'transcription')}"), name)
