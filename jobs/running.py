"""A job as the command line runs it: progress on stderr, the result on stdout, and an exit code."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from jobs.chronicle import Chronicle
from jobs.exits import BROKEN, FAILED_ROWS, FINE, INTERRUPTED
from jobs.increment import night, recorded, run_id
from jobs.journal import flaws, journal, progress
from jobs.options import Incremental, Manner, Retry, Work
from jobs.options_looking import Reporting
from jobs.outcome import Outcome, look
from jobs.planning import Growing, Once, Planning
from jobs.preview import preview
from jobs.refusals import Problem, SetupError, broken, reasons, refused
from jobs.reporting import report
from jobs.retrying import planned_again
from jobs.setup import checked
from jobs.summary import summary
from jobs.transcription import task as transcription
from jobs.work import Report, carry_out
from pipeline import log
from pipeline.commit import CommittedElsewhereError
from pipeline.lease import LeaseLost
from pipeline.log import NOTICE
from pipeline.schema import FAILED
from pipeline.storage import Store, StoreError
from pipeline.tasks import Task
from pipeline.unfinished import UnfinishedError
from pipeline.vigil import leaving

STOPPED = (SetupError, LeaseLost, CommittedElsewhereError, UnfinishedError, StoreError)
"""What ends a run before its table is whole."""
MOST_ROWS = 20_000
"""A table of more is not read again, unasked, for a page about the run."""


def run(options: Work, task: Task, manner: Manner, planning: Planning | None = None, run_id: str | None = None) -> int:
    """Do a job that hears audio, or say what would be done; the exit code."""
    with journal(manner):
        return _run(options, task, manner, planning or Once(options), Chronicle(options, run_id))


def _run(options: Work, task: Task, manner: Manner, planning: Planning, chronicle: Chronicle) -> int:
    code = BROKEN
    try:
        if problems := list(flaws(manner)):
            raise SetupError([*problems, *_wrong(options, task, planning)])
        with _stoppable():
            if manner.dry_run:
                return _preview(options, task, manner, planning)
            with progress(manner) as watch, leaving(lambda error: _end(refused(error, manner))):
                done = carry_out(options, task, watch, planning, chronicle)
            code = told(done, manner)
    except STOPPED as error:
        chronicle.problems = reasons(error)
        code = refused(error, manner)
    except KeyboardInterrupt:
        log.tell(f"stopped. What is in {options.output} stands; the same command goes on from there.", level=NOTICE)
        code = INTERRUPTED
    except Exception as error:
        chronicle.problems = reasons(error)
        code = broken(error)
    finally:
        if not manner.dry_run:
            chronicle.end(code)
    return code


def _end(code: int) -> None:
    """Now, and with this code."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _wrong(options: Work, task: Task, planning: Planning) -> tuple[Problem, ...]:
    """What else is."""
    try:
        checked(options, task, planning)
    except SetupError as error:
        return error.reasons
    return ()


def grow(options: Incremental, manner: Manner) -> int:
    """Transcribe what is new, unless this date is done; the exit code."""
    named = night(options)
    try:
        if known := recorded(named):
            with journal(manner):
                log.tell(f"{named.date} is done (run {known.run_id}): nothing is done again", level=NOTICE)
            return told(known, manner)
    except StoreError as error:
        return refused(error, manner)
    return run(named, transcription(named), manner, Growing(named), run_id(named))


def again(options: Retry, manner: Manner) -> int:
    """Try failed rows again; the exit code."""
    try:
        work, task, planning = planned_again(options)
    except (SetupError, StoreError) as error:
        return refused(error, manner)
    return run(work, task, manner, planning)


def told(done: Report, manner: Manner) -> int:
    """Say what a run did and what the table holds now; the exit code."""
    outcome = look(Store(done.output))
    code = FAILED_ROWS if outcome.counts[FAILED] and not manner.failed_ok else FINE
    page = None if manner.dry_run else _page(done, outcome)
    if manner.as_json:
        print(json.dumps({**asdict(done), "exit_code": code, "page": page, "table": asdict(outcome)}, indent=2))
    else:
        print(summary(done, outcome))
        if page:
            print(f"\nThe report is a page for a browser:\n  {page}")
    return code


def _page(done: Report, outcome: Outcome) -> str | None:
    """The run's own report, beside its record; of a very large table it is made when it is asked for."""
    if not done.shards or sum(outcome.counts.values()) > MOST_ROWS:
        return None
    try:
        return report(Reporting(done.output, run=done.run_id)).page
    except (SetupError, StoreError) as error:  # the table is whole all the same
        log.tell(f"the page about this run could not be written: {error}", level=NOTICE)
        return None


def _preview(options: Work, task: Task, manner: Manner, planning: Planning) -> int:
    with progress(manner):
        found = preview(options, task, planning)
    print(json.dumps(asdict(found), indent=2) if manner.as_json else found.text())
    return FINE


@contextmanager
def _stoppable() -> Iterator[None]:
    """A scheduler's polite end is an interruption like Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
