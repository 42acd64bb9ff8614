"""Dagster: a table of daily partitions; a partition is a logical date, and a missed one is filled like any other.

It needs the `steno` command on the path and STENO_CONFIG, the file of options; nothing else of this project. Another
run in the output (exit code 3), storage or an engine that failed on the way (75) or an interruption (130) is tried
again; what cannot work (2) fails at once.
"""

import os
import subprocess

from dagster import (
    AssetExecutionContext,
    DailyPartitionsDefinition,
    Definitions,
    Failure,
    RetryRequested,
    asset,
    build_schedule_from_partitioned_job,
    define_asset_job,
)

TRIES, SECONDS = 5, 900
UNUSABLE = 2


@asset(partitions_def=DailyPartitionsDefinition("2026-11-01"))  # type: ignore[untyped-decorator]  # no types here
def transcripts(context: AssetExecutionContext) -> None:
    """One logical date."""
    code = night(context.partition_key)
    if code == UNUSABLE:
        said = f"the night of {context.partition_key} cannot run: what steno printed says why"
        raise Failure(said, allow_retries=False)
    if code:
        raise RetryRequested(max_retries=TRIES, seconds_to_wait=SECONDS)


def night(date: str) -> int:
    """The command's exit code; where the work is stopped, the run is, and hands back its lease."""
    config = ["--config", os.environ["STENO_CONFIG"]]
    with subprocess.Popen(["steno", "incremental", *config, "--date", date, "--failed-ok"]) as run:  # noqa: S603, S607
        try:
            return run.wait()
        finally:
            run.terminate()


nightly = define_asset_job("steno_nightly", selection=[transcripts])
definitions = Definitions(
    assets=[transcripts],
    jobs=[nightly],
    schedules=[build_schedule_from_partitioned_job(nightly, hour_of_day=2)],
)
