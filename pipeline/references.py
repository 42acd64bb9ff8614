"""What was said, for jobs that cannot do without: from the input, or from a file of its own.

A line of the file is a recording's id, a tab (or, where there is none, a space), and its text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from pipeline.schema import SKIPPED, Failure, Recording
from pipeline.storage import read_bytes

NONE = Failure(
    "NoReference", "sources", "the input has no reference text for it, so there is nothing to align", SKIPPED
)


class ReferencesError(ValueError):
    """The file cannot be read as texts."""


@dataclass(frozen=True)
class References:
    """Where texts come from."""

    file: str | None = None
    """A path or URL; None is the input alone. A text in it comes before the input's."""

    def known(self) -> Mapping[str, str]:
        """Texts by their recordings' ids; `ReferencesError` or `StoreError` says why there are none."""
        return {} if self.file is None else _read(self.file)

    def given(self, recording: Recording) -> Recording:
        """A recording with its text, or skipped without reading its audio."""
        if recording.failure is not None:
            return recording
        text = self.known().get(recording.recording_id, recording.reference)
        if not (text or "").strip():
            return replace(recording, audio=None, failure=NONE)
        return replace(recording, reference=text)


@cache
def _read(file: str) -> Mapping[str, str]:
    try:
        lines = read_bytes(file).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ReferencesError(f"{file} is not UTF-8 text ({error})") from None
    pairs = [line.split("\t" if "\t" in line else None, 1) for line in lines if line.strip()]
    if wrong := [number for number, pair in enumerate(pairs, 1) if len(pair) < 2]:
        raise ReferencesError(f"{file}: line {wrong[0]} must be a recording's id, a tab, and its text")
    return {name.strip(): text.strip() for name, text in pairs}
