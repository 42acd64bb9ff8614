"""What the jobs can be told that look at an output, a checkpoint or the machine, and change nothing."""

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from cyclopts import Parameter

from jobs.options import SWITCH


@dataclass(frozen=True)
class Reporting:
    """What to report, and where to."""

    output: str
    """The folder or URL that a job wrote."""
    _: KW_ONLY
    run: str | None = None
    """One run's id: only the rows that it wrote. Without it, the whole table and the newest run."""
    to: str | None = None
    """The file to write; without it, report.html in the output, or runs/RUN.html for one run."""
    audio_megabytes: float = 12.0
    """How much audio the page may hold; 0 for none."""

    def flaws(self) -> list[str]:
        """Every value that cannot be meant, in a sentence each."""
        if self.audio_megabytes >= 0:
            return []
        return [f"audio_megabytes is {self.audio_megabytes}: it must be 0 or more"]


@dataclass(frozen=True)
class Describe:
    """Which checkpoint to describe, and how it may be read."""

    ref: str | None = None
    """A folder, s3://bucket/folder or hf://org/name@revision."""
    _: KW_ONLY
    allow_pickle: Annotated[bool, SWITCH] = False
    """Read the tensors of a pytorch_model.bin, and nothing else in it, where there is nothing better."""


@dataclass(frozen=True)
class Doctor:
    """What to look at beside the machine."""

    _: KW_ONLY
    model: Annotated[str | None, Parameter(alias="-m")] = None
    """A checkpoint that is to be used: a folder, s3://bucket/folder or hf://org/name@revision."""
    output: Annotated[str | None, Parameter(alias="-o")] = None
    """A folder or URL that is to be written."""
    address: str | None = None
    """A Ray cluster that is to be run on; without it, one is started on this machine and ended."""
    patience: float = 60.0
    """Seconds that each check may take."""

    def flaws(self) -> list[str]:
        """Every value that cannot be meant, in a sentence each."""
        return [] if self.patience > 0 else [f"patience is {self.patience}: it must be more than 0"]
