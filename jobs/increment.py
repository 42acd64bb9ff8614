"""`steno incremental`: what is new or changed since the last generation, for whoever runs it every night.

With a date, the run's id is made of it and of what decides the words: the same night is done once, however often it is
started, and what a missed or killed night left is done by the next.
"""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

from jobs.chronicle import Chronicle
from jobs.options import Incremental
from jobs.planning import Growing
from jobs.records import new_run_id
from jobs.transcription import task
from jobs.work import Report, carry_out, reread
from pipeline.knocking import knock
from pipeline.output import read_run
from pipeline.storage import Store, StoreError
from pipeline.tally import Watch

__all__ = ["Incremental", "incremental", "night", "recorded"]

TODAY = "today"
"""A date for schedulers that name none: the one that is here when the run starts."""


def incremental(options: Incremental, watch: Watch | None = None) -> Report:
    """Plan what is new, and do it with what is left of earlier nights; `SetupError` says why nothing could start."""
    named = night(options)
    if known := recorded(named):
        return known
    return carry_out(named, task(named), watch, Growing(named), Chronicle(named, run_id(named)))


def night(options: Incremental) -> Incremental:
    """With the date, and the date in its inputs; as it is where it has none, or a wrong one, as its flaws tell."""
    if options.date == TODAY:
        options = replace(options, date=f"{datetime.now(UTC):%Y-%m-%d}")
    if options.date is None or options.flaws():
        return options
    return replace(options, inputs=tuple(name.replace("{date}", options.date) for name in options.inputs))


def run_id(options: Incremental) -> str:
    """Of the date and the configuration; without a date, or where these cannot be meant, unlike any other."""
    if options.date is None or options.flaws():
        return new_run_id()
    asked = [options.inputs, options.output, options.model, {**options.decisive, **options.files, **options.told}]
    decisive = json.dumps(asked, sort_keys=True)
    stamp = datetime.fromisoformat(options.date)
    stamp = stamp if stamp.tzinfo is None else stamp.astimezone(UTC)
    return f"{stamp:%Y%m%dT%H%M%SZ}-{hashlib.sha256(decisive.encode()).hexdigest()[:6]}"


def recorded(options: Incremental) -> Report | None:
    """What the run of this date did, if it came to its end; `StoreError` where the store does not answer."""
    if options.date is None or options.flaws():
        return None
    knock(options.output)
    try:
        found = read_run(Store(options.output), run_id(options))
    except StoreError:
        return None  # an output that cannot be read is told by the checks of a run
    return None if found is None else reread(found)
