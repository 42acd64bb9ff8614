"""Folders of audio, tars and Parquet files, to any depth; and LibriSpeech trees, whose folders hold transcripts.

A recording's id is its path, from the input's own name on: the same in every plan, whatever other inputs there are.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from pipeline.ahead import in_order
from pipeline.inputs.containers import PARQUET, TAR, parquet_shards, prefix, tar_shards
from pipeline.inputs.found import Found, PlanRules
from pipeline.inputs.lines import lines
from pipeline.inputs.paths import exists, name_of
from pipeline.inputs.rows import Row, is_audio
from pipeline.storage import Entry

FORM, LIBRISPEECH = "audio", "librispeech"
TRANSCRIPTS = ".trans.txt"
LOT, LOTS = 128, 16
"""Files that are looked at by one thread, and threads: tars and Parquet files are opened."""
CHAPTER = 4096
"""Recordings that wait for their transcripts, which sort after them."""


def rows(found: Found) -> Iterator[tuple[str, Row]]:
    """Yield a row per audio file, and the shards of tars and Parquet files; other files are passed over."""
    entries = iter(found.entries)
    lots = iter(lambda: list(islice(entries, LOT)), [])
    for done in in_order(
        lambda lot: _lot(lot, found.uri, found.rules), lots, weight=lambda _: 1, budget=LOTS, threads=LOTS
    ):
        yield from done


def _lot(entries: Sequence[Entry], root: str, rules: PlanRules) -> list[tuple[str, Row]]:
    made: list[tuple[str, Row]] = []
    for entry in entries:
        if is_audio(entry.uri):
            made.append((FORM, recording(entry, root)))
        elif entry.uri.endswith(".tar"):
            made += ((TAR, row) for row in tar_shards(entry, root, rules))
        elif entry.uri.endswith(".parquet"):
            made += ((PARQUET, row) for row in parquet_shards(entry, root, rules))
    return made


def recording(entry: Entry, root: str) -> Row:
    """The row of an audio file."""
    return Row(prefix(entry.uri, root), entry.uri, bytes=entry.size, version=entry.version)


def librispeech_rows(found: Found) -> Iterator[tuple[str, Row]]:
    """Yield a row per audio file of a tree in which `<chapter>.trans.txt` stands beside `<chapter>-<number>.flac`."""
    waiting: deque[Entry] = deque()
    for entry in found.entries:
        if entry.uri.endswith(TRANSCRIPTS):
            yield from _with_transcripts(waiting, found.uri, _told(entry.uri))
        elif is_audio(entry.uri):
            if waiting and _chapter(waiting[0]) != _chapter(entry):
                yield from _with_transcripts(waiting, found.uri, {})
            if len(waiting) >= CHAPTER:
                yield from _with_transcripts(waiting, found.uri, _told_beside(entry))
            waiting.append(entry)
    yield from _with_transcripts(waiting, found.uri, {})


def _with_transcripts(waiting: deque[Entry], root: str, told: dict[str, str]) -> Iterable[tuple[str, Row]]:
    done = [(LIBRISPEECH, recording(entry, root)._replace(reference=told.get(_stem(entry)))) for entry in waiting]
    waiting.clear()
    return done


def _told_beside(entry: Entry) -> dict[str, str]:
    transcripts = _chapter(entry) + TRANSCRIPTS
    return _told(transcripts) if exists(transcripts) else {}


def _told(uri: str) -> dict[str, str]:
    parts = (line.text.partition(" ") for line in lines(uri) if not line.failure)
    return {name: text for name, _, text in parts}


def _stem(entry: Entry) -> str:
    return name_of(entry.uri).rpartition(".")[0]


def _chapter(entry: Entry) -> str:
    return entry.uri.rpartition("-")[0]
