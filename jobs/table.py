"""Rows of text as a table for a terminal, in plain characters, so that it can be pasted and searched."""

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Lines whose columns stand under one another, two spaces apart; a column of numbers ends flush."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    sides = [">" if _numbers(column[1:]) else "<" for column in columns]
    form = "  ".join(f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True))
    return "\n".join(form.format(*row).rstrip() for row in rows)


def _numbers(cells: Sequence[str]) -> bool:
    return bool(cells) and all(cell[:1].isdigit() for cell in cells)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds, as few as say it."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {whole % 60:02} s" if minutes else f"{whole} s"
