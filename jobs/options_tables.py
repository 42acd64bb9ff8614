"""What the jobs can be told that work on a finished output."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from cyclopts import Parameter

from jobs.options import SWITCH

NORMALISED = ("standard", "punctuated", "none")
RATES = ("wer", "cer")
TABLES = (".parquet", ".csv")


@dataclass(frozen=True)
class Telling:
    """How a command that reads an output says what it found."""

    _: KW_ONLY
    config: str | None = None
    """A YAML file with these options, one `name: value` a line; what is typed comes first."""
    as_json: Annotated[bool, SWITCH, Parameter("--json")] = False
    """Print JSON for a program instead of tables for people."""
    debug: Annotated[bool, SWITCH] = False
    """Show the traceback of what went wrong."""


PLAINLY = Telling()


@dataclass(frozen=True)
class Score:
    """What to hold against what was said."""

    output: str
    """The folder or URL that a job wrote."""
    _: KW_ONLY
    references: str | None = None
    """What was said, where the table does not know: a NeMo manifest, JSON lines, TSV or CSV that names recordings
    (`recording_id`, `id`, `audio_filepath`, `path`; `channel` where they are apart) and texts (`reference`, `text`,
    `sentence`)."""
    normalisation: str = "standard"
    """What both sides go through first: `standard` (NFKC, case and punctuation do not count), `punctuated` (case does
    not count) or `none`."""
    by: str = "wer"
    """What makes a recording bad: `wer`, its words, or `cer`, its characters, for scripts without spaces."""
    worst: int = 10
    """Recordings that are shown, each word of the reference over what was read."""
    to: str | None = None
    """Write every recording's figures to this .parquet or .csv, worst first."""

    def flaws(self) -> list[str]:
        """Every value that cannot be meant, in a sentence each."""
        return list(self._flaws())

    def _flaws(self) -> Iterator[str]:
        for name, known in (("normalisation", NORMALISED), ("by", RATES)):
            if (value := getattr(self, name)) not in known:
                yield f"{name} is {value!r}: it must be {', '.join(known[:-1])} or {known[-1]}"
        if self.worst < 0:
            yield f"worst is {self.worst}: it must be 0 or more"
        yield from misplaced(self.to, self.output)


def misplaced(to: str | None, output: str) -> Iterator[str]:
    """What is wrong with a table's own file."""
    if to is None:
        return
    if not to.lower().endswith(TABLES):
        yield f"to is {to!r}: its name must end in {' or '.join(TABLES)}"
    for part in ("transcripts", "plan", "runs"):
        if to.startswith(f"{output.rstrip('/')}/{part}/"):
            yield f"to is {to!r}: that is where the output itself lies"
