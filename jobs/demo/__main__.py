"""`make demo`: the corpus that ships with the project, transcribed with a checkpoint that ships with it.

What runs is `steno transcribe` as anyone would type it, on a cluster of this machine alone. Then the table is held
against what was said, which is known because the corpus was spoken by a synthesiser.
"""

import os
import sys
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow.dataset

from jobs import cli
from jobs.demo.truth import read_truth
from jobs.exits import FAILED_ROWS, FINE
from jobs.outcome import shown
from jobs.reporting import PAGE
from jobs.summary import placed, shortened
from jobs.table import aligned
from pipeline.schema import FAILED
from pipeline.scoring import Edits, sum_edits, word_edits

HERE = Path(__file__).parent
CORPUS, MODEL = HERE / "corpus", HERE / "checkpoints" / "lasr"
FORMS: Mapping[str, str] = {
    "loose": "flac, opus, mp3, wav and m4a files, a call of two channels, a long recording",
    "shards": "a WebDataset tar",
    "table": "a Parquet file",
    "manifest": "a NeMo manifest",
    "broken": "three files that cannot be read",
}
OUTPUT = "demo-output"
STENO = Path(sys.executable).with_name("steno")
Row = Mapping[str, object]
Scored = tuple[Row, Edits]


def main() -> int:
    """Transcribe, then say how far the table is from what was said."""
    inputs = [str(CORPUS / form) for form in FORMS]
    command = ["transcribe", *inputs, "--output", OUTPUT, "--model", str(MODEL), "--channels", "each"]
    print("The corpus:\n" + "\n".join(f"  {form:9} {what}" for form, what in FORMS.items()))
    print(f"\n$ {_short(str(STENO))} {' '.join(map(_short, command))}\n", flush=True)
    code = cli.main(command)
    if code not in {FINE, FAILED_ROWS}:
        return code
    rows = pyarrow.dataset.dataset(f"{OUTPUT}/transcripts", format="parquet").to_table().to_pylist()
    print(f"\nAgainst what was said, of each form the first recording and its worst:\n\n{transcripts(rows)}")
    print(f"\n{errors(rows)}")
    broken = sum(row["status"] == FAILED for row in rows)
    print(f"\n{broken} rows failed, as they should: each says why. All {len(rows)} are in the table.\n")
    print("The report of the whole table; its error rate is of the recordings whose input says what was said:")
    if (told := cli.main(["report", OUTPUT])) != FINE:
        return told
    if sys.stdout.isatty() and _screen():
        webbrowser.open((Path(OUTPUT) / PAGE).resolve().as_uri())
    return FINE if broken == len(list((CORPUS / "broken").iterdir())) else FAILED_ROWS


def _screen() -> bool:
    """Whether there is one that a browser could open on."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _short(word: str) -> str:
    path = Path(word)
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else word


def transcripts(rows: Sequence[Row]) -> str:
    """Some recordings of every form: when their words were said, how far off they are, and what they are."""
    chosen = [scored for of_form in _scored(rows).values() for scored in _first_and_worst(of_form)]
    lines = [(*placed(shown(row)), f"{100 * edits.rate:.1f}%", shortened(str(row["text"]))) for row, edits in chosen]
    return aligned([("recording", "from s", "to s", "error rate", "text"), *lines])


def errors(rows: Sequence[Row]) -> str:
    """Word error rates by where the recordings came from."""
    found = {form: [edits for _, edits in of_form] for form, of_form in _scored(rows).items()}
    found["all"] = [edits for of_form in found.values() for edits in of_form]
    lines = [(form, str(len(edits)), *_counted(sum_edits(edits))) for form, edits in found.items()]
    return aligned([("from", "recordings", "words", "wrong", "missing", "extra", "error rate"), *lines])


def _scored(rows: Sequence[Row]) -> Mapping[str, Sequence[Scored]]:
    """By form, what was read beside what was said."""
    found: dict[str, list[Scored]] = {}
    for row, reference in _referenced(rows):
        found.setdefault(_form(row), []).append((row, word_edits(reference, str(row["text"]))))
    return found


def _first_and_worst(scored: Sequence[Scored]) -> Iterator[Scored]:
    yield scored[0]
    yield from sorted(scored[1:], key=lambda each: -each[1].rate)[:1]


def _counted(edits: Edits) -> tuple[str, ...]:
    counts = (edits.length, edits.substitutions, edits.deletions, edits.insertions)
    return (*map(str, counts), f"{100 * edits.rate:.1f}%")


def _referenced(rows: Sequence[Row]) -> Iterator[tuple[Row, str]]:
    """Rows that were read, each with what was said: as the input tells, or as the corpus knows."""
    known = {truth.id: truth.text for truth in read_truth(CORPUS)}
    for row in rows:
        names = (f"{row['recording_id']}#{row['channel']}", str(row["recording_id"]))
        reference = row["reference"] or next((known[name] for name in names if name in known), None)
        if row["status"] != FAILED and reference:
            yield row, str(reference)


def _form(row: Row) -> str:
    return next(form for form in FORMS if f"/{form}/" in str(row["uri"]))


if __name__ == "__main__":
    sys.exit(main())
