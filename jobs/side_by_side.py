"""What was said over what was read, word under word, with a mark under every error."""

from collections.abc import Iterator, Sequence

from jobs.table import width
from pipeline.scoring import pair

WIDEST = 96
"""Columns of a terminal that words take."""
LONGEST = 8
"""Lines of one recording that are shown: those with errors."""
LABELS = ("reference", "read", "")
GAP = "*"
"""Stands where one side has no word."""

Column = tuple[str, str, str]


def side_by_side(reference: str, reading: str) -> str:
    """Both sides, normalised already, in lines of three: the reference, what was read, S, D or I under each error."""
    wrong = [line for line in _lines(_columns(reference.split(), reading.split())) if any(mark for *_, mark in line)]
    shown = ["\n".join(_shown(line)) for line in wrong[:LONGEST]]
    more = len(wrong) - len(shown)
    return "\n".join([*shown, *([f"  and {more} more lines with errors"] if more > 0 else [])])


def _columns(said: Sequence[str], read: Sequence[str]) -> Iterator[Column]:
    for i, j in pair(said, read):
        if i is None:
            assert j is not None
            yield GAP, read[j], "I"
        elif j is None:
            yield said[i], GAP, "D"
        else:
            yield said[i], read[j], "" if said[i] == read[j] else "S"


def _lines(columns: Iterator[Column]) -> Iterator[list[Column]]:
    """As many columns on a line as there is room for."""
    line: list[Column] = []
    used = 0
    for column in columns:
        room = max(map(width, column)) + 1
        if line and used + room > WIDEST:
            yield line
            line, used = [], 0
        line.append(column)
        used += room
    if line:
        yield line


def _shown(line: Sequence[Column]) -> Iterator[str]:
    widths = [max(map(width, column)) for column in line]
    for label, cells in zip(LABELS, zip(*line, strict=True), strict=True):
        padded = (_padded(cell, room) for cell, room in zip(cells, widths, strict=True))
        yield f"  {label:9}  {' '.join(padded)}".rstrip()


def _padded(cell: str, room: int) -> str:
    filling = GAP if cell == GAP else " "
    return cell + filling * (room - width(cell))
