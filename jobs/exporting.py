"""`steno export`: a finished table in other programs' formats.

One pass over the table writes every format that is asked for; what is in memory is a shard's rows and the pieces that
are being filled. Writing again to the same place replaces what was written.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby

import pyarrow as pa

from jobs.destination import closed
from jobs.exports import nist, praat, subtitles, texts
from jobs.exports.names import file_name
from jobs.exports.pieces import Dataset, Lines, leftovers
from jobs.exports.spoken import Spoken, spoken
from jobs.exports.subtitles import Layout
from jobs.finished import Finished, opened
from jobs.options_export import Export
from jobs.plans import Plans, read_plans
from jobs.refusals import SetupError
from jobs.table import aligned
from pipeline.ahead import in_order
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

    def text(self) -> str:
        """For people."""
        counts = ", ".join(f"{self.rows[status]:,} {status}" for status in STATUSES if self.rows.get(status))
        rows = [(name, f"{count:,} {'file' if count == 1 else 'files'}") for name, count in self.files.items()]
        left_out = sum(self.rows.get(status, 0) for status in (FAILED, SKIPPED))
        note = f" {left_out:,} of them have no text: they are in csv and dataset only." if left_out else ""
        of_rows = f"From {sum(self.rows.values()):,} rows: {counts}.{note}"
        return "\n".join([*filter(None, [self.note]), f"In {self.to}:", aligned(rows), of_rows])

    def record(self) -> dict[str, object]:
        """For programs."""
        return asdict(self)


def export(options: Export) -> Exported:
    """Write the formats that are asked for; `SetupError` says why nothing could be written."""
    found, target = ready(options)
    written = Exported(
        options.output, options.to, found.shards, found.missing, found.note, dict.fromkeys(options.formats, 0)
    )
    files = _files(found, options, written)
    for name in in_order(lambda file: _put(target, *file), files, weight=lambda file: len(file[1]), budget=AHEAD):
        written.files[name.partition("/")[0]] += 1
    _sweep(target, written)
    return written


def ready(options: Export) -> tuple[Finished, Store]:
    """The table and the place to write to, or `SetupError` with all that is wrong with them."""
    problems, found, target = options.flaws(), None, None
    try:
        found = opened(options.output)
        problems += _fitting(found, options)
    except SetupError as error:
        problems += error.problems
    try:
        target = Store(options.to)
        problems += list(_apart(options)) or ([] if problems else list(closed(target)))
    except StoreError as error:
        problems.append(f"to: {error}")
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
    output, to = Store(options.output).url.rstrip("/"), Store(options.to).url.rstrip("/")
    own = [output, *(f"{output}/{folder}" for folder in ("transcripts", "plan", "runs"))]
    if to in own or any(to.startswith(f"{folder}/") for folder in own[1:]):
        yield f"to is {options.to}: the table itself lies there; name a folder beside it, or a new one in it"


def _sweep(target: Store, written: Exported) -> None:
    """Remove what an earlier, larger export left of the same files."""
    for name, count in written.files.items():
        folder, pieces = ("dataset/data", count - 1) if name == "dataset" else (name, count)
        for old in list(leftovers(target, folder, pieces)) if name not in FILES else ():
            target.delete(old)


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
        begins = _begins(plans, shard)
        for recording in spoken(_seen((part for _, part in parts), written, table, dataset), begins):
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


def _begins(plans: Plans, shard: str) -> Mapping[str, float]:
    """Where in its file each recording begins that is a part of one."""
    planned = plans.rows(shard)
    if planned is None:
        return {}
    pairs = zip(planned["recording_id"].to_pylist(), planned["begin"].to_pylist(), strict=True)
    return {name: begin for name, begin in pairs if name is not None and begin is not None}
