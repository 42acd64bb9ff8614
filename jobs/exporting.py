"""`steno export`: a finished table in other programs' formats.

One pass over the table writes every format that is asked for; what is in memory is a shard's rows, the pieces that are
being filled, and sixteen bytes for each file. Writing again to the same place replaces what was written.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import groupby

import pyarrow as pa

from jobs.destination import closed
from jobs.exports import nist, praat, subtitles, texts
from jobs.exports.earlier import Earlier
from jobs.exports.names import file_name
from jobs.exports.pieces import Dataset, Lines, leftovers
from jobs.exports.spoken import Origin, Spoken, spoken
from jobs.exports.subtitles import Layout
from jobs.finished import Finished, opened
from jobs.options_export import Export
from jobs.plans import Plans, read_plans
from jobs.refusals import Problem, SetupError, named
from jobs.table import aligned
from pipeline.ahead import in_order
from pipeline.inputs.nemo import TARRED
from pipeline.inputs.paths import plain
from pipeline.latest import by_shard
from pipeline.schema import FAILED, SKIPPED, STATUSES, TRANSCRIPT
from pipeline.storage import Store, StoreError

__all__ = ["Export", "Exported", "export"]

AHEAD = 64 << 20
"""Bytes of files that may be on their way to the storage at once."""
FILES: Mapping[str, tuple[str, Callable[[Spoken, Layout], str]]] = {
    "srt": (".srt", subtitles.srt),
    "vtt": (".vtt", subtitles.vtt),
    "textgrid": (".TextGrid", lambda recording, _: praat.textgrid(recording)),
    "whisperx": (".json", lambda recording, _: texts.whisperx(recording)),
}
"""A file per recording: its ending, and what is in it."""
LINES: Mapping[str, tuple[str, Callable[[Spoken], str]]] = {
    "ctm": (".ctm", nist.ctm),
    "rttm": (".rttm", nist.rttm),
    "nemo": (".jsonl", texts.nemo),
}
"""Files of many recordings: their ending, and the lines of one."""
PIECES: Mapping[str, tuple[str, str]] = {
    **{name: (f"{name}/part", ending) for name, (ending, _) in LINES.items()},
    "csv": ("csv/part", ".csv"),
    "dataset": ("dataset/data/train", ".parquet"),
}
"""How the names of files of many recordings begin and end."""


@dataclass
class Exported:
    """What was written, and what was not."""

    output: str
    to: str
    shards: int
    """Planned."""
    missing: int
    """Planned, without a file: none of their recordings is in the export."""
    note: str = ""
    """What a reader must know of an output that is not finished."""
    files: dict[str, int] = field(default_factory=dict)
    """By format."""
    rows: dict[str, int] = field(default_factory=dict)
    """Rows that were read, by status. Those that failed or were skipped are in csv and dataset only."""
    inside: int = 0
    """Recordings inside tars and Parquet files, of which a manifest (nemo) says nothing: it can only name files."""
    removed: int = 0
    """Files of an earlier export that did not belong any more."""

    def text(self) -> str:
        """For people."""
        counts = ", ".join(f"{self.rows[status]:,} {status}" for status in STATUSES if self.rows.get(status))
        rows = [(name, f"{count:,} {'file' if count == 1 else 'files'}") for name, count in self.files.items()]
        left_out = sum(self.rows.get(status, 0) for status in (FAILED, SKIPPED))
        note = f" {left_out:,} of them have no text: they are in csv and dataset only." if left_out else ""
        of_rows = f"From {sum(self.rows.values()):,} rows: {counts}.{note}"
        return "\n".join([*filter(None, [self.note]), f"In {self.to}:", aligned(rows), of_rows, *self._notices()])

    def _notices(self) -> Iterator[str]:
        if self.inside:
            lie = "recording lies" if self.inside == 1 else "recordings lie"
            yield f"{self.inside:,} {lie} inside tars or Parquet files, which a manifest cannot name: left out of nemo."
        if self.removed:
            files = "file" if self.removed == 1 else "files"
            yield f"{self.removed:,} {files} of an earlier export did not belong any more: removed."

    def record(self) -> dict[str, object]:
        """For programs."""
        return asdict(self)


def export(options: Export) -> Exported:
    """Write the formats that are asked for; `SetupError` says why nothing could be written."""
    found, target = ready(options)
    written = Exported(
        options.output, options.to, found.shards, found.missing, found.note, dict.fromkeys(options.formats, 0)
    )
    earlier = {name: Earlier(target, name, FILES[name][0]) for name in options.formats if name in FILES}
    files = _listed(_files(found, options, written), earlier)
    try:
        for name in in_order(lambda file: _put(target, *file), files, weight=lambda file: len(file[1]), budget=AHEAD):
            written.files[name.partition("/")[0]] += 1
    except BaseException:
        with suppress(StoreError):  # what ended it is told
            for folder in earlier.values():
                folder.keep()
        raise
    written.removed = sum(folder.sweep() for folder in earlier.values()) + _sweep(target, written)
    return written


def ready(options: Export) -> tuple[Finished, Store]:
    """The table and the place to write to, or `SetupError` with all that is wrong with them."""
    problems, found, target = list[Problem](options.flaws()), None, None
    try:
        found = opened(options.output)
        problems += _fitting(found, options)
    except SetupError as error:
        problems += error.reasons
    try:
        target = Store(options.to)
        problems += list(_apart(options)) or ([] if problems else list(closed(target)))
    except StoreError as error:
        problems.append(named("to", error))
    if problems or found is None or target is None:
        raise SetupError(problems)
    return found, target


def _fitting(found: Finished, options: Export) -> Iterator[str]:
    """A table of labels, vectors or units has no text."""
    wanted = [name for name in options.formats if name in FILES or name in LINES]
    if found.textless and wanted:
        named = ", ".join(wanted)
        yield f"{options.output} holds {found.textless}, and no text for {named}: csv and dataset can be written"


def _apart(options: Export) -> Iterator[str]:
    """What other programs read does not lie among what this one reads."""
    output, to = plain(options.output), plain(options.to)
    own = [output, *(f"{output}/{folder}" for folder in ("transcripts", "plan", "runs"))]
    if to in own or any(to.startswith(f"{folder}/") for folder in own[1:]):
        yield f"to is {options.to}: the table itself lies there; name a folder beside it, or a new one in it"


def _listed(files: Iterable[tuple[str, bytes]], earlier: Mapping[str, Earlier]) -> Iterator[tuple[str, bytes]]:
    for name, payload in files:
        if folder := earlier.get(name.partition("/")[0]):
            folder.add(name, payload)
        yield name, payload


def _sweep(target: Store, written: Exported) -> int:
    """Remove what an earlier, larger export left of the same files; how many."""
    gone = 0
    for name, (stem, ending) in PIECES.items():
        pieces = written.files.get(name, 0) - (name == "dataset")  # the card is no piece
        for old in list(leftovers(target, stem, ending, pieces)) if name in written.files else ():
            target.delete(old)
            gone += 1
    return gone


def _put(target: Store, name: str, payload: bytes) -> str:
    target.put(name, payload)
    return name


def _files(found: Finished, options: Export, written: Exported) -> Iterator[tuple[str, bytes]]:
    layout = Layout(options.line_letters, options.lines, options.subtitle_seconds)
    singles = {name: FILES[name] for name in options.formats if name in FILES}
    lines = {name: Lines(name, LINES[name][0]) for name in options.formats if name in LINES}
    table = Lines("csv", ".csv", texts.csv_head()) if "csv" in options.formats else None
    dataset = Dataset() if "dataset" in options.formats else None
    pieces = [piece for piece in (*lines.values(), table, dataset) if piece is not None]
    plans = read_plans(found.store)
    for shard, parts in groupby(by_shard(found.store), key=lambda each: each[0]):
        origin = _origin(plans, shard)
        for recording in spoken(_seen((part for _, part in parts), written, table, dataset), origin):
            written.inside += recording.inside and "nemo" in lines
            for name, (ending, write) in singles.items():
                payload = write(recording, layout).encode("utf-8", "backslashreplace")
                yield f"{name}/{file_name(recording.recording_id, ending)}", payload
            for name, waiting in lines.items():
                waiting.add(LINES[name][1](recording))
        for piece in pieces:
            yield from piece.files(last=False)
    for piece in pieces:
        yield from piece.files(last=True)


def _seen(
    parts: Iterable[pa.Table], written: Exported, table: Lines | None, dataset: Dataset | None
) -> Iterator[pa.Table]:
    """The rows on their way, counted, and copied to where rows are written as they are."""
    for part in parts:
        written.rows = dict(Counter(written.rows) + Counter(part["status"].to_pylist()))
        if table is not None:
            table.add(texts.csv_lines(part))
        if dataset is not None:
            dataset.add(part.select(TRANSCRIPT.names))
        yield part


def _origin(plans: Plans, shard: str) -> Origin:
    planned = plans.rows(shard)
    if planned is None:
        return Origin()
    inside = planned["recording_id"].null_count > 0 or planned["format"][0].as_py() == TARRED
    parts = zip(*(planned[name].to_pylist() for name in ("recording_id", "begin", "duration")), strict=True)
    begins = {name: begin or 0.0 for name, begin, seconds in parts if (begin, seconds) != (None, None)}
    return Origin(begins, inside)
