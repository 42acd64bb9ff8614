"""Common Voice tables: tab-separated, one clip per line, the audio in `clips/` beside them."""

from collections.abc import Iterator, Mapping

from pipeline.inputs.found import Found, PlanRules
from pipeline.inputs.lines import Line, lines
from pipeline.inputs.look import UnknownError
from pipeline.inputs.nemo import carried, refused, spoken, unreadable
from pipeline.inputs.paths import folder_of, resolve
from pipeline.inputs.rows import Json, Row, is_audio
from pipeline.schema import Failure

FORM = "commonvoice"
PATH = "path"
"""The column that names the clip."""
SHOWN = 300
"""Letters of a header that are shown: it may be no header at all."""


def rows(found: Found) -> Iterator[tuple[str, Row]]:
    """Yield a row per line after the header; a line has as many columns as the header."""
    table = lines(found.uri)
    header = _header(found.uri, next(table, None))
    for line in table:
        yield FORM, _row(found.uri, line, header, found.rules)


def _header(uri: str, line: Line | None) -> list[str]:
    if line is None:
        raise UnknownError(f"{uri} is empty")
    if line.failure:
        raise UnknownError(f"{uri} has no header that can be read: {line.failure.message}")
    header = line.text.split("\t")
    if PATH not in header:
        there = ", ".join(header)[:SHOWN]
        raise UnknownError(f"{uri} has no column {PATH!r}, which names the clips in {FORM}: it has {there}")
    return header


def _row(uri: str, line: Line, header: list[str], rules: PlanRules) -> Row:
    cells = line.text.split("\t")
    if line.failure:
        return unreadable(uri, line, line.failure)
    if len(cells) != len(header):
        message = f"line {line.number} has {len(cells)} columns, the header {len(header)}"
        return unreadable(uri, line, Failure("BadLine", "plan", message))
    entry: Mapping[str, Json] = dict(zip(header, cells, strict=True))
    name = cells[header.index(PATH)]
    clip = name if is_audio(name) or not name else f"{name}.mp3"
    place = resolve(f"clips/{clip}" if clip else "", folder_of(uri), rules.roots)
    filled = {column: value for column, value in entry.items() if value != ""}
    if isinstance(place, Failure):
        return refused(uri, line, place, filled, rules)
    return Row(name, place, reference=spoken(entry, rules), extra=carried(filled, (PATH,), rules))
