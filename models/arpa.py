"""The n-grams of an ARPA file, line by line; what is none is told with its line."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan
from pathlib import Path

BETWEEN = " \t\r\n"
"""What stands between words; any other space is part of one."""


@dataclass(frozen=True)
class Entry:
    """One line of an ARPA file."""

    likely: float
    words: tuple[str, ...]
    back: float


def read_sections(path: Path) -> Iterator[list[Entry]]:
    """The n-grams of each order, from one word on."""
    section: list[Entry] | None = None
    order = 0
    with path.open(encoding="utf-8") as lines:
        for number, raw in enumerate(lines, 1):
            line = raw.strip(BETWEEN)
            if line.startswith("\\") and line.endswith("-grams:"):
                if section is not None:
                    yield section
                section, order = [], order + 1
                if line != f"\\{order}-grams:":
                    raise ValueError(f"line {number} is {line}, \\{order}-grams: is expected")
            elif line == "\\end\\":
                break
            elif section is not None and line:
                section.append(_read_entry(line, number, order))
        else:
            raise ValueError("it does not end in \\end\\, so it is cut short or something else")
    if section is not None:
        yield section


def _read_entry(line: str, number: int, order: int) -> Entry:
    fields = [field for field in line.replace("\t", " ").split(" ") if field]
    try:
        back = float(fields[order + 1]) if len(fields) == order + 2 else 0.0
        entry = Entry(float(fields[0]), tuple(fields[1 : order + 1]), back)
    except (ValueError, IndexError) as error:
        raise ValueError(f"line {number} is no {order}-gram: {line[:60]}") from error
    if len(entry.words) != order or len(fields) > order + 2 or isnan(entry.likely) or isnan(entry.back):
        raise ValueError(f"line {number} is no {order}-gram: {line[:60]}")
    return entry
