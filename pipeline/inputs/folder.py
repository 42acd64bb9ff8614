"""Folders of audio, tars and Parquet files, to any depth; and LibriSpeech trees, whose folders hold transcripts.

A recording's id is its path, from the input's own name on: the same in every plan, whatever other inputs there are.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from pipeline.ahead import in_order
from pipeline.inputs.containers import PARQUET, TAR, parquet_shards, prefix, tar_shards
from pipeline.inputs.found import Found, PlanRules
from pipeline.inputs.lines import note, texts
from pipeline.inputs.paths import exists, name_of
from pipeline.inputs.rows import Row, is_audio
from pipeline.storage import Entry

FORM, LIBRISPEECH = "audio", "librispeech"
TRANSCRIPTS = ".trans.txt"
CONTAINERS = (".tar", ".parquet")
LOT, LOTS = 128, 16
"""Files that are looked at by one thread, and threads: tars and Parquet files are opened."""
CHAPTER = 4096
"""Recordings that wait for their transcripts, which sort after them."""
COUNTED, TOLD = 1000, 5
"""Endings of other files' names: how many are told apart, and how many are told."""
LONGEST_ENDING = 8
"""Letters."""


def rows(found: Found) -> Iterator[tuple[str, Row]]:
    """Yield a row per audio file, and the shards of tars and Parquet files; other files are counted and told."""
    entries = _named(found, CONTAINERS)
    lots = iter(lambda: list(islice(entries, LOT)), [])
    for done in in_order(
        lambda lot: _lot(lot, found.uri, found.rules), lots, weight=lambda _: 1, budget=LOTS, threads=LOTS
    ):
        yield from done


def _lot(entries: Sequence[Entry], root: str, rules: PlanRules) -> list[tuple[str, Row]]:
    made: list[tuple[str, Row]] = []
    for entry in entries:
        if entry.uri.endswith(".tar"):
            made += ((TAR, row) for row in tar_shards(entry, root, rules))
        elif entry.uri.endswith(".parquet"):
            made += ((PARQUET, row) for row in parquet_shards(entry, root, rules))
        else:
            made.append((FORM, recording(entry, root)))
    return made


def _named(found: Found, beside: tuple[str, ...]) -> Iterator[Entry]:
    """Yield what is named like audio or like what is read beside it; at the end it is told what was passed over."""
    others: Counter[str] = Counter()
    for entry in found.entries:
        if found.named or is_audio(entry.uri) or entry.uri.endswith(beside):
            yield entry
        else:
            ending = _ending(entry.uri)
            others[ending if ending in others or len(others) < COUNTED else ""] += 1
    if others:
        note(f"{found.uri}: files passed over, as their names do not end like audio: {_told_apart(others)}")


def _ending(uri: str) -> str:
    """How the name ends, where that is an ending."""
    _, dot, ending = name_of(uri).rpartition(".")
    return f".{ending.lower()}" if dot and ending.isalnum() and len(ending) <= LONGEST_ENDING else ""


def _told_apart(others: Mapping[str, int]) -> str:
    """`13 (8 .txt, 4 .pdf, 1 named otherwise)`."""
    total = sum(others.values())
    most = Counter({ending: count for ending, count in others.items() if ending}).most_common(TOLD)
    rest = total - sum(count for _, count in most)
    parts = [f"{count:,} {ending}" for ending, count in most] + ([f"{rest:,} named otherwise"] if rest else [])
    return f"{total:,} ({', '.join(parts)})"


def recording(entry: Entry, root: str) -> Row:
    """The row of an audio file."""
    return Row(prefix(entry.uri, root), entry.uri, bytes=entry.size, version=entry.version)


def librispeech_rows(found: Found) -> Iterator[tuple[str, Row]]:
    """Yield a row per audio file of a tree in which `<chapter>.trans.txt` stands beside `<chapter>-<number>.flac`."""
    waiting: deque[Entry] = deque()
    for entry in _named(found, (TRANSCRIPTS,)):
        if entry.uri.endswith(TRANSCRIPTS):
            yield from _with_transcripts(waiting, found.uri, _told(entry.uri))
            continue
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
    return {name: text for name, _, text in (line.partition(" ") for line in texts(uri))}


def _stem(entry: Entry) -> str:
    return name_of(entry.uri).rpartition(".")[0]


def _chapter(entry: Entry) -> str:
    return entry.uri.rpartition("-")[0]
