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
    history = runs(found.store)
    contents = _contents(options, found, history, _chosen(options, history))
    payload = render(contents).encode()
    page = _write(options, found.store, payload)
    return Written(page, contents.findings.rows, len(payload), time.monotonic() - began, found.note)


def _chosen(options: Reporting, history: list[Run]) -> Run | None:
    """The run that is asked for, or the newest one."""
    if options.run is None:
        return history[-1] if history else None
    for run in history:
        if run.run_id == options.run:
            return run
    known = ", ".join(run.run_id for run in history[-10:]) or "none"
    raise SetupError([f"run {options.run!r} wrote nothing into {options.output}; runs that did: {known}"])


def _contents(options: Reporting, output: Finished, history: list[Run], run: Run | None) -> Contents:
    store, identity = output.store, read_identity(output.store)
    found = survey(latest(store, NARROW), options.run)
    listening = Listening(
        store, rules(str(identity.options.get("channels", "mix"))), options.audio_megabytes * MEGABYTE
    )
    shown = [_shown(row, listening) for row in _chosen_rows(store, found.worst)]
    scope = "the whole table" if options.run is None else f"written by run {options.run}"
    return Contents(options.output, scope, output.note, identity, found, history, run, shown)


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
