"""Airflow: a file for the DAGs folder. Each logical date is one run, and missed dates are caught up in order.

Another run in the output (exit code 3) or an interruption is tried again; what cannot work (2) fails at once, without
tries. Written for Airflow 2.9 and newer, of which only the names below are used.
"""

from datetime import UTC, datetime, timedelta

from airflow.exceptions import AirflowFailException
from airflow.models.dag import DAG
from airflow.operators.python import PythonOperator

from infra.schedules.command import UnusableError, run


def transcribe(ds: str) -> None:
    """One logical date, `ds` as Airflow names it."""
    try:
        run(ds)
    except UnusableError as error:
        raise AirflowFailException(str(error)) from error


with DAG(
    "steno_nightly",
    schedule="0 2 * * *",
    start_date=datetime(2026, 11, 1, tzinfo=UTC),
    catchup=True,
    max_active_runs=1,
    default_args={"retries": 5, "retry_delay": timedelta(minutes=15)},
) as dag:
    PythonOperator(task_id="transcribe", python_callable=transcribe)
