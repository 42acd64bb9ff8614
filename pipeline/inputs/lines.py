"""Text that comes line by line, compressed or not; a line that cannot be read is a line that says so.

An outage of the storage is none: it is raised, for a text that was read in part must not pass for a whole one.
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from pipeline.inputs.rows import Json
from pipeline.log import NOTICE, tell
from pipeline.schema import Failure
from pipeline.storage import StoreError, open_input
from pipeline.stores.errors import BROKEN

BRACKETS = re.compile(r"[][{}]")
DEEPEST = 200
"""Brackets in brackets: far below what a JSON writer cannot follow."""
LONGEST = 16 * 2**20
"""Bytes of a line: more is not a manifest."""


@dataclass(frozen=True)
class Line:
    """One line that is not blank."""

    number: int
    """From 1, blank ones counted."""
    text: str
    failure: Failure | None = None


def lines(uri: str) -> Iterator[Line]:
    """Yield the lines of a text object; where it ends too early, a last one says so."""
    number = 0
    with open_input(uri) as file:
        try:
            for number, raw in enumerate(_raw(_unpacked(file)), 1):
                if raw.strip():
                    yield _line(number, raw)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            yield _end(uri, number, error)
        except (StoreError, OSError) as error:
            if isinstance(error, StoreError) and error.lasting:
                yield _end(uri, number, error)
                return
            kind = error.kind if isinstance(error, StoreError) else BROKEN
            raise StoreError(kind, f"{uri} was read to line {number} and no further: {error}") from error


def texts(uri: str) -> Iterator[str]:
    """Yield the lines that can be read, of a file that says more about recordings; the others are counted and told."""
    lost, why = 0, ""
    for line in lines(uri):
        if line.failure is None:
            yield line.text
        else:
            lost, why = lost + 1, why or line.failure.message
    if lost:
        note(f"{uri}: lines that cannot be read and are passed over: {lost:,} ({why})")


@lru_cache(maxsize=256)
def note(message: str) -> None:
    """Tell a person, once: an input is looked into before the start, and read again for the plan."""
    tell(message, level=NOTICE)


def fields(line: Line) -> Mapping[str, Json] | Failure:
    """The line as a JSON object."""
    if line.failure:
        return line.failure
    try:
        value = json.loads(line.text)
    except (ValueError, RecursionError) as error:
        return Failure("NotJson", "plan", f"line {line.number} is not JSON: {error}")
    if not isinstance(value, dict):
        return Failure("NotJson", "plan", f"line {line.number} is not a JSON object")
    if nesting(line.text) > DEEPEST:
        return Failure("NotJson", "plan", f"line {line.number} is nested deeper than {DEEPEST}")
    return value


def nesting(text: str) -> int:
    """How deep brackets stand in brackets, at most: those in quotes count too."""
    depth = deepest = 0
    for bracket in BRACKETS.findall(text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _end(uri: str, number: int, error: Exception) -> Line:
    return Line(number + 1, "", Failure("Truncated", "plan", f"{uri} ends at line {number}: {error}"))


def _unpacked(file: BinaryIO) -> BinaryIO:
    magic = file.read(2)
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if magic == b"\x1f\x8b" else file  # type: ignore[return-value]


def _raw(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LONGEST):
        yield line
        while len(line) == LONGEST and not line.endswith(b"\n"):
            line = file.readline(LONGEST)


def _line(number: int, raw: bytes) -> Line:
    if len(raw) == LONGEST:
        return Line(number, "", Failure("TooLarge", "plan", f"line {number} is longer than {LONGEST} bytes"))
    try:
        return Line(number, raw.decode("utf-8-sig" if number == 1 else "utf-8").strip("\r\n"))
    except UnicodeDecodeError as error:
        return Line(number, "", Failure("NotText", "plan", f"line {number} is not UTF-8: {error}"))
