"""Common Voice tables: tab-separated, one clip per line, the audio in `clips/` beside them."""

from collections.abc import Iterator, Mapping

from pipeline.inputs.found import Found, PlanRules
from pipeline.inputs.lines import Line, lines
from pipeline.inputs.nemo import carried, spoken, unreadable
from pipeline.inputs.paths import folder_of, resolve
from pipeline.inputs.rows import Json, Row, is_audio
from pipeline.schema import Failure

FORM = "commonvoice"


def rows(found: Found) -> Iterator[tuple[str, Row]]:
    """Yield a row per line after the header; a line has as many columns as the header."""
    header: list[str] = []
    for line in lines(found.uri):
        if not header and not line.failure:
            header = line.text.split("\t")
        else:
            yield FORM, _row(found.uri, line, header, found.rules)


def _row(uri: str, line: Line, header: list[str], rules: PlanRules) -> Row:
    cells = line.text.split("\t")
    if line.failure:
        return unreadable(uri, line, line.failure)
    if len(cells) != len(header):
        message = f"line {line.number} has {len(cells)} columns, the header {len(header)}"
        return unreadable(uri, line, Failure("BadLine", "plan", message))
    entry: Mapping[str, Json] = dict(zip(header, cells, strict=True))
    name = cells[header.index("path")]
    clip = name if is_audio(name) or not name else f"{name}.mp3"
    place = resolve(f"clips/{clip}" if clip else "", folder_of(uri), rules.roots)
    if isinstance(place, Failure):
        return unreadable(uri, line, place)
    filled = {column: value for column, value in entry.items() if value != ""}
    return Row(name, place, reference=spoken(entry, rules), extra=carried(filled, ("path",), rules))
