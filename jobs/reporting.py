"""`steno report`: one HTML page that says how an output came out, to be read where there is no network.

It holds transcripts, and audio where the recordings lie on this machine: share it as you would share those.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc

from jobs.destination import closed_file, file_at
from jobs.finished import Finished, opened
from jobs.options_looking import Reporting
from jobs.page.comparison import Compared, compared
from jobs.page.document import Contents, Shown, render
from jobs.page.findings import NARROW, Key, Row, survey
from jobs.page.history import Run, runs
from jobs.page.listening import Listening, Wanted, rules
from jobs.page.timeline import line, words_of
from jobs.setup import SetupError
from pipeline.latest import latest
from pipeline.output import RUNS, read_identity
from pipeline.storage import Store

__all__ = ["Reporting", "Written", "report"]

MEGABYTE = 1_000_000
PAGE = "report.html"
WIDE = ("recording_id", "channel", "uri", "seconds", "text", "confidence", "segments", "reference", "wer")


@dataclass(frozen=True)
class Written:
    """A page that was written."""

    page: str
    """Its path or URL."""
    rows: int
    size: int
    """Bytes."""
    seconds: float
    """That it took."""
    note: str = ""
    """What a reader must know of an output that is not finished."""

    def text(self) -> str:
        """For people."""
        said = f"{self.page}: {self.rows:,} rows, {self.size / MEGABYTE:.1f} MB, made in {self.seconds:.1f} s"
        return "\n".join(filter(None, [self.note, said]))

    def record(self) -> dict[str, object]:
        """For programs."""
        return asdict(self)


def report(options: Reporting) -> Written:
    """Write the page; `SetupError` says why there is none."""
    began = time.monotonic()
    if problems := options.flaws():
        raise SetupError(problems)
    found = opened(options.output)
    if options.to is not None and (shut := list(closed_file(options.to))):
        raise SetupError(shut)
    contents = _contents(options, found, runs(found.store))
    payload = render(contents).encode()
    page = _write(options, found.store, payload)
    return Written(page, contents.findings.rows, len(payload), time.monotonic() - began, found.note)


def _contents(options: Reporting, output: Finished, history: list[Run]) -> Contents:
    store, identity = output.store, read_identity(output.store)
    writers = [run for run in history if run.rows]
    run = next((run for run in reversed(writers) if options.run in (None, run.run_id)), None)
    found = survey(latest(store, NARROW), options.run)
    if options.run is not None and run is None and not found.rows:  # one that was killed has rows, and no record
        known = ", ".join(run.run_id for run in writers[-10:]) or "none"
        raise SetupError([f"run {options.run!r} wrote nothing into {options.output}; runs that did: {known}"])
    listening = Listening(
        store, rules(str(identity.options.get("channels", "mix"))), options.audio_megabytes * MEGABYTE
    )
    shown = [_shown(row, listening) for row in _chosen_rows(store, found.worst)]
    return Contents(options.output, options.run, output.note, identity, found, history, run, shown)


def _chosen_rows(store: Store, keys: list[Key]) -> list[Row]:
    """The rows to show, in the order of `keys`."""
    names, found = pa.array([name for name, _ in keys], pa.string()), dict[Key, Row]()
    if not keys:
        return []
    for table in latest(store, WIDE):
        for row in table.filter(pc.is_in(table["recording_id"], names)).to_pylist():
            found[row["recording_id"], row["channel"]] = row
    return [found[key] for key in keys if key in found]


def _shown(row: Mapping[str, object], listening: Listening) -> Shown:
    seconds, channel, reference = _number(row["seconds"]) or 0.0, row["channel"], row["reference"]
    words = words_of(row["segments"])
    drawn = line(words, seconds)
    whole = len(drawn.words) == len(words)
    versus = compared(str(reference), [word.text for word in words]) if reference and whole else Compared()
    name, number = str(row["recording_id"]), int(str(channel)) if channel is not None else None
    return Shown(
        recording_id=name,
        channel=number,
        seconds=seconds,
        text=str(row["text"] or ""),
        reference=str(reference) if reference else None,
        wer=_number(row["wer"]),
        confidence=_number(row["confidence"]),
        line=drawn,
        spots=tuple(drawn.spots(versus.wrong)),
        compared=versus,
        sound=listening.hear(Wanted(name, number, str(row["uri"]), drawn.begin, drawn.seconds)),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _write(options: Reporting, store: Store, payload: bytes) -> str:
    if options.to is not None:
        place, name = file_at(options.to)
        place.put(name, payload)
        return options.to
    name = PAGE if options.run is None else f"{RUNS}/{options.run}.html"
    store.put(name, payload)
    return f"{store.url.rstrip('/')}/{name}"
