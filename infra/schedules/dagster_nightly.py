"""Dagster: a table of daily partitions; a partition is a logical date, and a missed one is filled like any other.

Another run in the output (exit code 3) or an interruption is tried again; what cannot work (2) fails at once.
"""

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

from infra.schedules.command import NightFailedError, UnusableError, run

TRIES, SECONDS = 5, 900


@asset(partitions_def=DailyPartitionsDefinition("2026-11-01"))  # type: ignore[untyped-decorator]  # no types here
def transcripts(context: AssetExecutionContext) -> None:
    """One logical date."""
    try:
        run(context.partition_key)
    except UnusableError as error:
        raise Failure(str(error), allow_retries=False) from error
    except NightFailedError as error:
        raise RetryRequested(max_retries=TRIES, seconds_to_wait=SECONDS) from error


nightly = define_asset_job("steno_nightly", selection=[transcripts])
definitions = Definitions(
    assets=[transcripts],
    jobs=[nightly],
    schedules=[build_schedule_from_partitioned_job(nightly, hour_of_day=2)],
)
