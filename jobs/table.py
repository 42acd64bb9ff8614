"""Rows of text as a table for a terminal, in plain characters, so that it can be pasted and searched.

Names and texts are the user's: what would move the cursor or colour the screen is spelled out.
"""

import unicodedata
from collections.abc import Sequence

from pipeline.log import visible


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Lines whose columns stand under one another, two spaces apart; a column of numbers ends flush."""
    columns = [tuple(map(visible, column)) for column in zip(*rows, strict=True)]
    widths = [max(map(width, column)) for column in columns]
    flush = [_numbers(column[1:]) for column in columns]
    lines = zip(*columns, strict=True)
    return "\n".join("  ".join(map(_padded, line, widths, flush)).rstrip() for line in lines)


def width(text: str) -> int:
    """Columns that a terminal gives it: none to marks that stand on letters, two to wide ones."""
    return sum(
        0
        if unicodedata.category(letter) in ("Mn", "Me", "Cf")
        else 2
        if unicodedata.east_asian_width(letter) in "WF"
        else 1
        for letter in text
    )


def _padded(cell: str, room: int, flush: bool) -> str:
    filling = " " * (room - width(cell))
    return filling + cell if flush else cell + filling


def _numbers(cells: Sequence[str]) -> bool:
    return bool(cells) and all(cell[:1].isdigit() for cell in cells)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds, as few as say it."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {whole % 60:02} s" if minutes else f"{whole} s"
