"""`steno`: what a person types.

A job is imported when it is asked for: torch takes seconds to load, and neither `--help` nor a typing mistake should
wait for it.
"""

import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from jobs.cli_again import retry_failures, transcribe_new_inputs
from jobs.cli_export import export_table
from jobs.cli_filter import flag_rows
from jobs.cli_heads import align_inputs, embed_inputs, label_inputs, units_of_inputs
from jobs.cli_looking import describe_checkpoint, examine_machine, report_output, verify_output
from jobs.cli_tables import score_output
from jobs.exits import BROKEN, FAULT, FINE, INTERRUPTED, TOLD, UNUSABLE
from jobs.options import AS_USUAL, Manner, Transcribe
from jobs.settings import from_file
from pipeline.stores.errors import scrub

GUIDE = """Transcripts of whole corpora with published speech models, read exactly: a clip gives the same tokens in any
batch as alone.

- `steno transcribe recordings/ --output out/ --model ./checkpoint` writes a Parquet table of words and times.
- The same again goes on where it was interrupted; what is done stays done.
- `steno transcribe s3://bucket/corpus -o s3://bucket/out -m hf://org/name --dry-run` says what would be done.
- `steno transcribe --config job.yaml --beam 4` takes options from a file; what is typed comes first.
- `steno label calls/ -o labels/ -m ./classifier --window-seconds 2` scores labels of recordings and of windows.
- `steno incremental s3://bucket/corpus -o out/ -m ./checkpoint --date 2026-11-20` adds what is new or changed.
- `steno retry out/ --errors NotFound` tries failed rows again.
- `steno align manifest.jsonl -o words/ -m ./checkpoint` says when each word of known texts is said.
- `steno embed recordings/ -o vectors/ -m ./checkpoint --layer 6` turns recordings into vectors.
- `steno units recordings/ -o units/ -m ./checkpoint --clusters 100` turns them into discrete units.
- `steno report out/` writes one HTML page about it: speed, failures, error rates, the worst recordings.
- `steno score out/ --references truth.jsonl` says how far the texts are from what was said, the worst first.
- `steno filter out/ --min-confidence 0.7` writes every row again with what is suspicious about it.
- `steno export out/ --to texts/ --format srt --format csv` writes the table in other programs' formats.
- `steno verify out/` checks that everything planned is there once.
- `steno doctor -o s3://bucket/out` looks at the machine, the packages, the storage and Ray, and says what to mend.
- `steno models ./checkpoint` says what a checkpoint is; without one, what can be read.
- `steno models hf://org/name@revision --json` says it to a program.
"""


def _version() -> str:
    try:
        return f"steno {version('stenopool')}"
    except PackageNotFoundError:
        return "steno, run from its source without being installed"


app = App(
    "steno", help=GUIDE, help_epilogue=TOLD, version=_version, config=from_file, suppress_keyboard_interrupt=False
)


@app.command(name="transcribe")
def transcribe_inputs(
    options: Annotated[Transcribe, Parameter("*")], manner: Annotated[Manner, Parameter("*")] = AS_USUAL
) -> int:
    """Turn speech into text with words and times: audio in, a Parquet table out.

    Every input ends as a row, also one that cannot be read: it says why. Run it again after an interruption, and it
    goes on where it was.
    """
    from jobs import running, transcription

    return running.run(options, transcription.task(options), manner)


app.command(label_inputs, name="label")
app.command(transcribe_new_inputs, name="incremental")
app.command(retry_failures, name="retry")
app.command(align_inputs, name="align")
app.command(embed_inputs, name="embed")
app.command(units_of_inputs, name="units")
app.command(describe_checkpoint, name="models")
app.command(verify_output, name="verify")
app.command(report_output, name="report")
app.command(score_output, name="score")
app.command(examine_machine, name="doctor")
app.command(export_table, name="export")
app.command(flag_rows, name="filter")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says, and return the exit code."""
    try:
        code = app(arguments, exit_on_error=False, result_action="return_value")
    except CycloptsError:  # printed already, with what may have been meant
        return UNUSABLE
    except KeyboardInterrupt:  # also while modules are imported; a job that writes has words of its own
        print("steno: stopped. What is written stands; the same command does the rest.", file=sys.stderr)
        return INTERRUPTED
    except Exception:  # the last door: the code that Python would give means something else here
        print(scrub(traceback.format_exc()), end="", file=sys.stderr)
        print(f"steno: {FAULT}", file=sys.stderr)
        return BROKEN
    return code if isinstance(code, int) else FINE


if __name__ == "__main__":
    sys.exit(main())
