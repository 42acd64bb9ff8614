"""What is known of the corpus's recordings: `truth.jsonl`, a line per recording, or per channel of a call.

Times are where a word is heard when the file is decoded: mp3 and m4a begin with some 65 ms that their encoder added,
and that is counted.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

TRUTH = "truth.jsonl"


@dataclass(frozen=True)
class Truth:
    """One recording."""

    id: str
    """Its file, with `/name` for a member of a tar or a row of a table, and `#channel` in a call."""
    file: str
    """Under the corpus's folder."""
    channel: int | None
    seconds: float
    text: str
    words: tuple[tuple[str, float, float], ...]
    """Each with its start and end in seconds."""
    voice: str
    kind: str
    """What makes it hard: clean, noise, echo; or call, long, keyword."""


def write_truth(folder: Path, truths: Iterable[Truth]) -> None:
    """Put it beside the recordings."""
    lines = [json.dumps(asdict(truth)) for truth in truths]
    (folder / TRUTH).write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_truth(folder: Path) -> list[Truth]:
    """What is known of a corpus."""
    lines = (folder / TRUTH).read_text(encoding="utf-8").splitlines()
    known = [Truth(**json.loads(line)) for line in lines]
    return [replace(truth, words=tuple((word, start, end) for word, start, end in truth.words)) for truth in known]
