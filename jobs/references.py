"""What was said, from a file beside the table.

It is kept in a database of this process that spills to disk, so a large one needs no memory.
"""

import csv
import gzip
import io
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

from jobs.refusals import SetupError
from pipeline.inputs.lines import fields, lines
from pipeline.inputs.paths import folder_of, plain, resolve
from pipeline.inputs.rows import REFERENCES
from pipeline.schema import Failure
from pipeline.storage import StoreError, open_input

NAMES = ("recording_id", "id", "audio_filepath", "path", "uri", "file", "file_name", "filename")
"""Columns that name a recording, in the order of trust."""
TEXTS = ("reference", *REFERENCES)
TOLD = 5
"""Lines that cannot be read and are named."""

Entry = Mapping[str, object]


class Tabbed(csv.Dialect):
    """Cells as they are between tabs: quotes are letters."""

    delimiter, lineterminator, quoting = "\t", "\n", csv.QUOTE_NONE


class References:
    """Texts by recordings, and by channels where the file keeps them apart."""

    def __init__(self, url: str) -> None:
        self._known = sqlite3.connect("")  # on disk, for this process alone, and gone with it
        self._known.execute(
            "CREATE TABLE known (name TEXT PRIMARY KEY, text TEXT, several INTEGER DEFAULT 0) WITHOUT ROWID"
        )
        problems = list(self._take(url))
        if problems:
            raise SetupError(problems[:TOLD] + ([f"{url}: and more of the kind"] if len(problems) > TOLD else []))

    def __len__(self) -> int:
        return int(self._known.execute("SELECT count(*) FROM known").fetchone()[0])

    @property
    def contradictory(self) -> int:
        """Names with several texts, which say nothing."""
        return int(self._known.execute("SELECT count(*) FROM known WHERE several").fetchone()[0])

    @property
    def example(self) -> str:
        """One of the names."""
        found = self._known.execute("SELECT name FROM known LIMIT 1").fetchone()
        return str(found[0]) if found else ""

    def of(self, recording_id: str, uri: str) -> str | None:
        """What was said in a whole recording."""
        return self._find(recording_id) or self._find(uri)

    def of_channel(self, recording_id: str, uri: str, channel: object) -> str | None:
        """What was said in one channel of it, where the file keeps channels apart."""
        return self._find(f"{recording_id}#{channel}") or self._find(f"{uri}#{channel}")

    def _find(self, name: str) -> str | None:
        found = self._known.execute("SELECT text FROM known WHERE name = ? AND NOT several", (name,)).fetchone()
        return str(found[0]) if found else None

    def _take(self, url: str) -> Iterator[str]:
        """Read the file; what is wrong with it, as sentences."""
        folder = folder_of(plain(url))
        try:
            for place, entry in _entries(url):
                if isinstance(entry, str):
                    yield f"{place}: {entry}"
                else:
                    yield from self._keep(place, entry, folder)
        except StoreError as error:
            yield f"references: {error}"
        except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile) as error:
            yield f"references: {url} is neither JSON lines nor TSV nor CSV: {error}"

    def _keep(self, place: str, entry: Entry, folder: str) -> Iterator[str]:
        name = next((str(entry[column]) for column in NAMES if entry.get(column)), None)
        text = next((entry[column] for column in TEXTS if isinstance(entry.get(column), str)), None)
        if name is None or text is None:
            lacking = ", ".join(NAMES) if name is None else ", ".join(TEXTS)
            yield f"{place}: has none of {lacking}"
            return
        channel = entry.get("channel")
        mark = "" if channel in (None, "") or name.endswith(f"#{channel}") else f"#{channel}"
        lies = resolve(name, folder) if "audio_filepath" in entry else name
        for known in {name, name if isinstance(lies, Failure) else lies}:
            self._known.execute(
                "INSERT INTO known (name, text) VALUES (?, ?)"
                " ON CONFLICT DO UPDATE SET several = several OR text != excluded.text",
                (f"{known}{mark}", text),
            )


def _entries(url: str) -> Iterator[tuple[str, Entry | str]]:
    """Each line with its place, as fields, or as what is wrong with it."""
    with ExitStack() as stack:
        file = stack.enter_context(open_input(url))
        magic = file.read(2)
        file.seek(0)
        raw = stack.enter_context(gzip.GzipFile(fileobj=file)) if magic == b"\x1f\x8b" else file
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        head = next((line for line in text if line.strip()), "")
        if not head.lstrip().startswith("{"):
            yield from _columns(url, head, text)
            return
    for line in lines(url):
        found = fields(line)
        yield f"{url} line {line.number}", found.message if isinstance(found, Failure) else found


def _columns(url: str, head: str, text: Iterator[str]) -> Iterator[tuple[str, Entry | str]]:
    """A table with a header: tabs part cells as they are, commas part what may be quoted."""
    dialect = Tabbed if "\t" in head else csv.excel
    header = next(csv.reader([head], dialect), [])
    if not {*header} & {*NAMES} or not {*header} & {*TEXTS}:
        yield url, f"its header must have one of {', '.join(NAMES)} and one of {', '.join(TEXTS)}"
        return
    rows = csv.reader(text, dialect)
    for cells in rows:
        place = f"{url} line {rows.line_num + 1}"
        if len(cells) == len(header):
            yield place, dict(zip(header, cells, strict=True))
        elif cells:
            yield place, f"has {len(cells)} columns, the header {len(header)}"
