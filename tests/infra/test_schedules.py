"""The recipes for schedules: what they start, and what they make of each exit code.

Airflow and Dagster are not installed here: stand-ins that know only the names in use show that the files run and which
command comes out; that a scheduler takes them is not shown.
"""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import pytest

from infra.schedules.command import NightFailedError, UnusableError, run
from jobs.exits import FAILED_ROWS, FINE, HELD, INTERRUPTED, UNUSABLE

FOLDER = Path(__file__).parents[2] / "infra" / "schedules"
DATE = "2026-11-20"


class Raised(Exception):  # noqa: N818
    """What a stand-in's errors are."""

    def __init__(self, *said: object, **told: object) -> None:
        super().__init__(*said)
        self.told = told


@pytest.fixture
def ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """A `steno` that writes down how it was called and ends as it is told."""

    def with_code(code: int) -> Path:
        asked, steno = tmp_path / "asked", tmp_path / "steno"
        steno.write_text(f'#!/bin/sh\necho "$@" >> {asked}\nexit {code}\n')
        steno.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.setenv("STENO_CONFIG", "/etc/steno/job.yaml")
        return asked

    return with_code


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **names: object) -> None:
    module = ModuleType(name)
    vars(module).update(names)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize(
    ("code", "told"), [(FINE, 0), (FAILED_ROWS, 0), (UNUSABLE, 2), (HELD, 3), (INTERRUPTED, 130), (137, 137)]
)
def test_a_night_is_the_command_and_failed_rows_are_no_alarm(code: int, told: int, ends: Callable[[int], Path]) -> None:
    asked = ends(code)
    assert subprocess.run([FOLDER / "nightly.sh", DATE], check=False).returncode == told
    assert asked.read_text() == f"incremental --config /etc/steno/job.yaml --date {DATE}\n"


@pytest.mark.parametrize("lacking", ["date", "config"])
def test_a_night_without_its_date_or_options_does_not_start(
    lacking: str, ends: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ends(FINE)
    if lacking == "config":
        monkeypatch.delenv("STENO_CONFIG")
    words = [DATE] if lacking == "config" else []
    ran = subprocess.run([FOLDER / "nightly.sh", *words], capture_output=True, check=False)
    assert ran.returncode
    assert not asked.exists()


def test_cron_starts_the_night_of_its_day_with_its_options(tmp_path: Path) -> None:
    lines = [line for line in (FOLDER / "crontab").read_text().splitlines() if not line.startswith("#")]
    settings = dict(line.split("=", 1) for line in lines[:-1])
    line = lines[-1].split(None, 5)
    assert line[:5] == ["0", "2", "*", "*", "*"]
    night = tmp_path / "nightly.sh"
    night.write_text(f'#!/bin/sh\necho "$STENO_CONFIG $1" > {tmp_path}/asked\n')
    night.chmod(0o755)
    command = line[5].replace("\\%", "%").replace("/opt/stenopool/infra/schedules/nightly.sh", str(night))
    command = command.replace("/var/log/steno.log", str(tmp_path / "log"))
    subprocess.run([settings["SHELL"], "-c", command], env={**os.environ, **settings}, check=True)
    config, day = (tmp_path / "asked").read_text().split()
    assert (config, day) == ("/etc/steno/job.yaml", f"{datetime.now():%Y-%m-%d}")


@pytest.mark.parametrize(("code", "error"), [(UNUSABLE, UnusableError), (HELD, NightFailedError)])
def test_an_orchestrator_is_told_whether_another_try_helps(
    code: int, error: type[Exception], ends: Callable[[int], Path]
) -> None:
    ends(code)
    with pytest.raises(NightFailedError) as caught:
        run(DATE)
    assert caught.type is error


def test_airflow_starts_the_logical_date_and_gives_up_where_trying_is_no_use(
    ends: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, operator = MagicMock(), MagicMock()
    stand_in(monkeypatch, "airflow")
    stand_in(monkeypatch, "airflow.exceptions", AirflowFailException=Raised)
    stand_in(monkeypatch, "airflow.models")
    stand_in(monkeypatch, "airflow.models.dag", DAG=made)
    stand_in(monkeypatch, "airflow.operators")
    stand_in(monkeypatch, "airflow.operators.python", PythonOperator=operator)
    runpy.run_path(str(FOLDER / "airflow_nightly.py"))
    told = made.call_args.kwargs
    assert (told["catchup"], told["max_active_runs"]) == (True, 1)
    asked, work = ends(FINE), operator.call_args.kwargs["python_callable"]
    work(ds=DATE)
    assert asked.read_text().endswith(f"--date {DATE}\n")
    ends(UNUSABLE)
    with pytest.raises(Raised):
        work(ds=DATE)
    ends(HELD)
    with pytest.raises(NightFailedError):
        work(ds=DATE)


def test_dagster_starts_the_partition_and_gives_up_where_trying_is_no_use(
    ends: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("AssetExecutionContext", "DailyPartitionsDefinition", "Definitions", "define_asset_job")
    made = {name: MagicMock() for name in (*names, "build_schedule_from_partitioned_job")}

    def asset(**_: object) -> Callable[[object], object]:
        return lambda work: work

    stand_in(monkeypatch, "dagster", Failure=Raised, RetryRequested=Raised, asset=asset, **made)
    work = runpy.run_path(str(FOLDER / "dagster_nightly.py"))["transcripts"]
    context, asked = MagicMock(partition_key=DATE), ends(FINE)
    work(context)
    assert asked.read_text().endswith(f"--date {DATE}\n")
    for code, said in ((UNUSABLE, {"allow_retries": False}), (HELD, {"max_retries": 5, "seconds_to_wait": 900})):
        ends(code)
        with pytest.raises(Raised) as caught:
            work(context)
        assert caught.value.told == said
