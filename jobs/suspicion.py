"""What is measured of a row, and which flags that earns. What cannot be measured earns none."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import pyarrow as pa

from jobs.options_filter import Filter
from pipeline.schema import FAILED, SKIPPED
from pipeline.scoring import normalise

Row = Mapping[str, object]
FLAGS = (
    *("failed", "skipped", "error_rate", "ctc_loss", "confidence"),
    *("words_per_second", "repeats", "silence", "clipping", "duration"),
)
"""In the order in which a row carries them. The first two are rows without a text: nothing else is asked of them."""
LONGEST_LOOP = 4
"""Words that may repeat together."""
MEASURES = pa.struct(
    [
        ("ctc_loss_per_token", pa.float64()),
        ("words_per_second", pa.float64()),
        ("repeats", pa.int32()),
        ("silence", pa.float64()),
        ("clipping", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Measures:
    """What the table does not say by itself; None where it cannot be known."""

    ctc_loss_per_token: float | None = None
    words_per_second: float | None = None
    repeats: int | None = None
    """How often words follow themselves at most: 1 is no repetition."""
    silence: float | None = None
    """The share of the recording outside all words."""
    clipping: float | None = None
    """The share of its samples."""


def measured(row: Row, clipping: float | None) -> Measures:
    """Measure a row; `clipping` was heard from its audio."""
    if row["status"] in (FAILED, SKIPPED):
        return Measures()
    words, seconds = normalise(str(row["text"] or "")).split(), _number(row["seconds"])
    return Measures(
        _loss_per_token(row),
        len(words) / seconds if seconds else None,
        repeats(words),
        _silence(row, seconds) if seconds else None,
        clipping,
    )


def flags(row: Row, found: Measures, limits: Filter) -> list[str]:
    """What is suspicious about a row."""
    if row["status"] in (FAILED, SKIPPED):
        return [str(row["status"])]
    return [name for name, raised in _raised(row, found, limits) if raised]


def repeats(words: Sequence[str]) -> int:
    """How often one to four words stand directly after themselves, at most; 1 where nothing repeats."""
    most = min(1, len(words))
    for size in range(1, LONGEST_LOOP + 1):
        run = 0
        for at in range(size, len(words)):
            run = run + 1 if words[at] == words[at - size] else 0
            most = max(most, 1 + run // size)
    return most


def _raised(row: Row, found: Measures, limits: Filter) -> Iterator[tuple[str, bool]]:
    yield "error_rate", _above(row["wer"], limits.max_wer)
    yield "ctc_loss", _above(found.ctc_loss_per_token, limits.max_ctc_loss)
    yield "confidence", _below(row["confidence"], limits.min_confidence)
    pace = found.words_per_second
    yield "words_per_second", _below(pace, limits.min_words_per_second) or _above(pace, limits.max_words_per_second)
    yield "repeats", _above(found.repeats, limits.max_repeats)
    yield "silence", _above(found.silence, limits.max_silence)
    yield "clipping", _above(found.clipping, limits.max_clipping)
    yield "duration", _below(row["seconds"], limits.min_seconds) or _above(row["seconds"], limits.max_seconds)


def _above(value: object, limit: float | None) -> bool:
    number = _number(value)
    return number is not None and limit is not None and number > limit


def _below(value: object, limit: float) -> bool:
    number = _number(value)
    return number is not None and number < limit


def _loss_per_token(row: Row) -> float | None:
    loss, alignment = _number(row["ctc_loss"]), cast("Row | None", row["alignment"])
    expected = _number(alignment["expected"]) if alignment else None
    return loss / expected if loss is not None and expected else None


def _silence(row: Row, seconds: float) -> float | None:
    """The rest beside the words; unknown where a text has no times."""
    segments = cast("list[Row]", row["segments"] or [])
    words = [word for segment in segments for word in cast("list[Row]", segment["words"] or [])]
    if row["text"] and not words:
        return None
    covered = last = 0.0
    for start, end in sorted((_number(word["start"]) or 0.0, _number(word["end"]) or 0.0) for word in words):
        covered += max(0.0, min(end, seconds) - max(start, last))
        last = max(last, end)
    return 1 - covered / seconds


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
