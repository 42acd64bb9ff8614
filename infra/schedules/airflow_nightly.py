"""Airflow: a file for the DAGs folder. Each logical date is one run, and missed dates are caught up in order.

It needs the `steno` command on the path of Airflow's workers and STENO_CONFIG, the file of options; nothing else of
this project. Another run in the output (exit code 3), storage or an engine that failed on the way (75) or an
interruption (130) is tried again; what cannot work (2) fails at once, without tries. For Airflow 3.3.
"""

import os
import subprocess
from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException

UNUSABLE = 2


def transcribe(ds: str) -> None:
    """One logical date, `ds` as Airflow names it."""
    code = night(ds)
    if code == UNUSABLE:
        raise AirflowFailException(f"the night of {ds} cannot run: what steno printed says why")
    if code:
        raise AirflowException(f"the night of {ds} ended with exit code {code}: started again, it goes on")


def night(date: str) -> int:
    """The command's exit code; where the task is stopped, the run is, and hands back its lease."""
    config = ["--config", os.environ["STENO_CONFIG"]]
    with subprocess.Popen(["steno", "incremental", *config, "--date", date, "--failed-ok"]) as run:  # noqa: S603, S607
        try:
            return run.wait()
        finally:
            run.terminate()


with DAG(
    "steno_nightly",
    schedule="0 2 * * *",
    start_date=datetime(2026, 11, 1, tzinfo=UTC),
    catchup=True,
    max_active_runs=1,
    default_args={"retries": 5, "retry_delay": timedelta(minutes=15)},
) as dag:
    PythonOperator(task_id="transcribe", python_callable=transcribe)
