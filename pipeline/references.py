"""What was said, for jobs that cannot do without: from the input, or from a file of its own.

The file is JSON lines (a manifest is one), a table with a header between tabs or commas, or lines of a recording's id,
a tab (or, where there is none, a space) and its text. What is none of these is refused, not guessed at.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain

from pipeline.inputs.lines import LONGEST, fields, lines
from pipeline.inputs.nemo import seconds
from pipeline.inputs.paths import folder_of, plain, resolve
from pipeline.inputs.rows import REFERENCES, Json
from pipeline.schema import SKIPPED, Failure, Recording
from pipeline.storage import open_input

NAMES = ("recording_id", "id", "audio_filepath", "path", "uri", "file", "file_name", "filename")
"""Columns that name a recording, in the order of trust."""
TEXTS = ("reference", *REFERENCES)
COLUMNS = {*NAMES, *TEXTS}
TOLD = 5
"""Lines that cannot be read and are named."""
NONE = Failure("NoReference", "sources", "there is no reference text for it, so there is nothing to align", SKIPPED)
SEVERAL = replace(NONE, message="the file of references has several texts for it, which say nothing")
APART = replace(NONE, message="the file of references has a text for each channel, and one is laid onto a recording")

Entry = Mapping[str, Json]


class ReferencesError(ValueError):
    """The file cannot be read as texts."""


class Tabbed(csv.Dialect):
    """Cells as they are between tabs: quotes are letters."""

    delimiter, lineterminator, quoting = "\t", "\n", csv.QUOTE_NONE


@dataclass(frozen=True)
class Said:
    """One text of a file."""

    names: tuple[str, ...]
    """Of its recording, as the file spells it and as the table may."""
    channel: str
    """`#0` and so on where the file keeps channels apart; else nothing."""
    text: str


@dataclass(frozen=True)
class Known:
    """All texts of a file that say something, by names."""

    texts: Mapping[str, str]
    """Those of channels by names that end like `#0`."""
    several: frozenset[str]
    """Names with several texts."""
    apart: frozenset[str]
    """Names of recordings whose channels have texts of their own."""


@dataclass(frozen=True)
class References:
    """Where texts come from."""

    file: str | None = None
    """A path or URL; None is the input alone. A text in it comes before the input's."""

    def known(self) -> Known:
        """What the file says; `ReferencesError` or `StoreError` says why that is nothing."""
        return Known({}, frozenset(), frozenset()) if self.file is None else _read(self.file)

    def given(self, recording: Recording) -> Recording:
        """A recording with its text, or skipped without reading its audio."""
        if recording.failure is not None:
            return recording
        whole = not recording.begin and recording.duration is None  # else the uri is also that of other parts
        found = self.named(recording.recording_id, recording.uri if whole else None, recording.channel)
        text = recording.reference if found is None else found
        if isinstance(text, Failure):
            return replace(recording, audio=None, failure=text)
        if not (text or "").strip():
            return replace(recording, audio=None, failure=NONE)
        return replace(recording, reference=text)

    def named(self, recording_id: str, uri: str | None, channel: int | None) -> str | Failure | None:
        """What the file says of a recording: a text, why it is none, or nothing."""
        known, names = self.known(), [recording_id, *([] if uri is None else [uri])]
        for name in (*(f"{name}#{channel}" for name in names if channel is not None), *names):
            if name in known.several:
                return SEVERAL
            if name in known.texts:
                return known.texts[name]
        return APART if any(name in known.apart for name in names) else None


def said(url: str) -> Iterator[Said | str]:
    """Yield what a file says, and as a sentence what in it cannot be read; `StoreError` where it cannot be had."""
    folder = folder_of(plain(url))
    try:
        for place, entry in _entries(url):
            yield f"{place}: {entry}" if isinstance(entry, str) else _said(place, entry, folder)
    except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile, zlib.error) as error:
        yield f"{url} is neither JSON lines nor TSV nor CSV: {error}"


def first_of(problems: Sequence[str], url: str) -> list[str]:
    """What can be told of them."""
    return [*problems[:TOLD], *([f"{url}: and more of the kind"] if len(problems) > TOLD else [])]


@cache
def _read(file: str) -> Known:
    texts: dict[str, str] = {}
    several, apart, problems = set[str](), set[str](), list[str]()
    for each in said(file):
        if isinstance(each, str):
            problems.append(each)
            continue
        apart.update(each.names if each.channel else ())
        for name in (f"{name}{each.channel}" for name in each.names):
            several.update([name] if texts.setdefault(name, each.text) != each.text else [])
    if problems:
        raise ReferencesError("\n".join(first_of(problems, file)))
    if not texts:
        raise ReferencesError(f"{file} holds no text")
    return Known(texts, frozenset(several), frozenset(apart))


def _said(place: str, entry: Entry, folder: str) -> Said | str:
    name = next((str(entry[column]) for column in NAMES if entry.get(column)), None)
    text = next((each for column in TEXTS if isinstance(each := entry.get(column), str)), None)
    if name is None or text is None:
        return f"{place}: has none of {', '.join(NAMES if name is None else TEXTS)}"
    path, channel = str(entry.get("audio_filepath") or ""), entry.get("channel")
    mark = "" if channel in (None, "") else f"#{channel}"
    names = [*([] if name == path else [name]), *(_paths(path, entry, folder) if path else ())]
    return Said(tuple(dict.fromkeys(each.removesuffix(mark) for each in names)), mark, text)


def _paths(path: str, entry: Entry, folder: str) -> Iterator[str]:
    """What a manifest's recording is called after its file, and after the part of it that is meant."""
    lies, begin, duration = resolve(path, folder), _seconds(entry.get("offset")), _seconds(entry.get("duration"))
    end = "" if begin is None or duration is None else f"-{begin + duration:.3f}"
    part = "" if begin is None else f"@{begin:.3f}{end}"
    yield from (f"{each}{part}" for each in (path, path if isinstance(lies, Failure) else lies))


def _seconds(value: Json) -> float | None:
    found = None if value == "" else seconds(value)
    return found if isinstance(found, float) else None


def _entries(url: str) -> Iterator[tuple[str, Entry | str]]:
    """Each line with its place, as fields, or as what is wrong with it."""
    with ExitStack() as stack:
        file = stack.enter_context(open_input(url))
        magic = file.read(2)
        file.seek(0)
        raw = stack.enter_context(gzip.GzipFile(fileobj=file)) if magic == b"\x1f\x8b" else file
        text = enumerate(io.TextIOWrapper(raw, encoding="utf-8-sig", newline=""), 1)
        first = next(((number, line) for number, line in text if line.strip()), (1, ""))
        if not first[1].lstrip().startswith("{"):
            yield from _lines(url, *first, text)
            return
    for line in lines(url):
        found = fields(line)
        yield f"{url} line {line.number}", found.message if isinstance(found, Failure) else found


def _lines(url: str, number: int, head: str, rest: Iterator[tuple[int, str]]) -> Iterator[tuple[str, Entry | str]]:
    """What is not JSON lines: `head` is the first line that is not blank, at its number."""
    header = _cells(head)
    known = COLUMNS & {*header}
    if head.strip() == "[" or head.lstrip().startswith("[{"):
        yield url, "it is one JSON array: what is read is a JSON object in each line"
    elif known & {*NAMES} and known & {*TEXTS}:
        yield from _table(url, number, head, (line for _, line in rest))
    elif known and (header[0] in known or len(header) > 2 or "\t" not in head):
        yield url, f"its header must have one of {', '.join(NAMES)} and one of {', '.join(TEXTS)}"
    else:
        yield from _pairs(url, chain([(number, head)], rest))


def _table(url: str, number: int, head: str, rest: Iterator[str]) -> Iterator[tuple[str, Entry | str]]:
    """Rows below a header: tabs part cells as they are, commas what may be quoted."""
    csv.field_size_limit(LONGEST)  # of this process: a text of hours is longer than a spreadsheet's cell
    header, rows = _cells(head), csv.reader(rest, _dialect(head))
    for cells in rows:
        place = f"{url} line {number + rows.line_num}"
        if len(cells) == len(header):
            yield place, dict(zip(header, cells, strict=True))
        elif cells:
            yield place, f"has {len(cells)} columns, the header {len(header)}"


def _cells(head: str) -> list[str]:
    return next(csv.reader([head], _dialect(head)), [])


def _dialect(head: str) -> type[csv.Dialect]:
    return Tabbed if "\t" in head else csv.excel


def _pairs(url: str, numbered: Iterable[tuple[int, str]]) -> Iterator[tuple[str, Entry | str]]:
    """Lines of an id and a text, without a header."""
    for number, line in numbered:
        if not line.strip():
            continue
        pair = _pair(line)
        if pair is None:
            yield f"{url} line {number}", "must be a recording's id, a tab, and its text, as there is no header"
        else:
            yield f"{url} line {number}", dict(zip(("recording_id", "reference"), pair, strict=True))


def _pair(line: str) -> tuple[str, str] | None:
    cells = line.split("\t") if "\t" in line else line.split(None, 1)
    return (cells[0].strip(), cells[1].strip()) if len(cells) == 2 else None
