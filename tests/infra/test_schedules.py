"""The recipes for schedules: what they start, and what they make of each exit code.

Airflow and Dagster are not installed here: stand-ins that know only the names in use show that the files run and which
command comes out. By hand Dagster 1.13.29 ran the asset, and Airflow 3.3.2 loaded the DAG, whose task was called.
"""

import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import pytest

from jobs.exits import FINE, HELD, INTERRUPTED, UNFINISHED, UNUSABLE

FOLDER = Path(__file__).parents[2] / "infra" / "schedules"
DATE = "2026-11-20"
SCHEDULERS = (
    *("dagster", "airflow", "airflow.sdk", "airflow.sdk.exceptions", "airflow.providers", "airflow.providers.standard"),
    *("airflow.providers.standard.operators", "airflow.providers.standard.operators.python"),
)
AGAIN = (HELD, UNFINISHED, INTERRUPTED)
"""Codes after which the same night is tried again."""
NIGHT = f"incremental --config /etc/steno/job.yaml --date {DATE} --failed-ok\n"
CRON = {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "HOME": "/", "LOGNAME": "root"}
"""What cron gives a command of its own accord."""
STOPPABLE = f"""import pathlib, signal, sys, time
there = pathlib.Path(sys.argv[3])
def stop(*_):
    time.sleep(0.3)
    there.write_text("stopped in order")
    sys.exit({INTERRUPTED})
signal.signal(signal.SIGTERM, stop)
there.write_text("at work")
time.sleep(60)
"""
"""A `steno` that stops in order, which takes a moment."""


class Raised(Exception):  # noqa: N818
    """What a stand-in's errors are."""

    def __init__(self, *said: object, **told: object) -> None:
        super().__init__(*said)
        self.told = told


class Final(Raised):
    """What a stand-in does not try again."""


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


def alone(recipe: str, folder: Path) -> str:
    """A recipe as a scheduler gets it: a file that lies with none of its neighbours."""
    assert "from infra" not in (FOLDER / recipe).read_text()
    return str(shutil.copy(FOLDER / recipe, folder))


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **names: object) -> None:
    module = ModuleType(name)
    vars(module).update(names)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize(
    "code", [FINE, UNUSABLE, HELD, UNFINISHED, INTERRUPTED, pytest.param(1, id="an installation that is broken")]
)
def test_a_night_is_the_command_and_its_code_is_the_commands(code: int, ends: Callable[[int], Path]) -> None:
    asked = ends(code)
    assert subprocess.run([FOLDER / "nightly.sh", DATE], check=False).returncode == code
    assert asked.read_text() == NIGHT


@pytest.mark.parametrize(
    "recipe", ["nightly.sh", "airflow_nightly.py", "dagster_nightly.py", "../manifests/cronjob.yaml"]
)
def test_a_recipe_says_what_each_code_means_to_it(recipe: str) -> None:
    said = (FOLDER / recipe).read_text()
    assert [code for code in (UNUSABLE, *AGAIN) if not re.search(rf"[( ]{code}(\)|, |  )", said)] == []


@pytest.fixture
def stoppable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `steno` that is at work until it is stopped; where it says so."""
    steno, there = tmp_path / "steno", tmp_path / "there"
    steno.write_text(f"#!{sys.executable}\n{STOPPABLE}")
    steno.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("STENO_CONFIG", str(there))
    return there


def at_work(there: Path) -> None:
    until = time.monotonic() + 30
    while not there.exists() and time.monotonic() < until:
        time.sleep(0.02)


def test_whoever_stops_the_night_stops_the_run(stoppable: Path) -> None:
    night = subprocess.Popen([FOLDER / "nightly.sh", DATE])
    at_work(stoppable)
    night.terminate()
    assert night.wait(timeout=30) == INTERRUPTED
    assert stoppable.read_text() == "stopped in order", "the script was gone before its run"


@pytest.mark.parametrize("recipe", ["airflow_nightly.py", "dagster_nightly.py"])
def test_a_task_that_is_stopped_stops_its_run(recipe: str, stoppable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in SCHEDULERS:
        monkeypatch.setitem(sys.modules, package, MagicMock())
    night = runpy.run_path(str(FOLDER / recipe))["night"]

    def stop(*_: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGUSR1, stop)
    threading.Thread(target=lambda: (at_work(stoppable), os.kill(os.getpid(), signal.SIGUSR1)), daemon=True).start()
    with pytest.raises(InterruptedError):
        night(DATE)
    signal.signal(signal.SIGUSR1, before)
    assert stoppable.read_text() == "stopped in order"


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
    """In cron's own environment, with steno where README's `make` puts it."""
    home, asked = tmp_path / "stenopool", tmp_path / "asked"
    (home / "infra").mkdir(parents=True)
    (home / "infra" / "schedules").symlink_to(FOLDER)
    steno = home / ".venv" / "bin" / "steno"
    steno.parent.mkdir(parents=True)
    steno.write_text(f'#!/bin/sh\necho "$@" > {asked}\n')
    steno.chmod(0o755)
    text = (FOLDER / "crontab").read_text().replace("/opt/stenopool", str(home)).replace("/var/log", str(tmp_path))
    *set_there, last = [line for line in text.splitlines() if not line.startswith("#")]
    *when, command = last.split(None, 5)
    assert when == ["0", "2", "*", "*", "*"]
    environment = CRON | dict(line.split("=", 1) for line in set_there)
    shell = [environment["SHELL"], "-c", command.replace("\\%", "%")]
    ran = subprocess.run(shell, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout + ran.stderr == "", (tmp_path / "steno.log").read_text()
    assert asked.read_text() == NIGHT.replace(DATE, f"{datetime.now():%Y-%m-%d}")


def test_airflow_starts_the_logical_date_and_gives_up_where_trying_is_no_use(
    ends: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, operator = MagicMock(), MagicMock()
    stand_in(monkeypatch, "airflow")
    stand_in(monkeypatch, "airflow.sdk", DAG=made)
    stand_in(monkeypatch, "airflow.sdk.exceptions", AirflowException=Raised, AirflowFailException=Final)
    for package in ("airflow.providers", "airflow.providers.standard", "airflow.providers.standard.operators"):
        stand_in(monkeypatch, package)
    stand_in(monkeypatch, "airflow.providers.standard.operators.python", PythonOperator=operator)
    runpy.run_path(alone("airflow_nightly.py", tmp_path))
    told = made.call_args.kwargs
    assert (told["catchup"], told["max_active_runs"]) == (True, 1)
    asked, work = ends(FINE), operator.call_args.kwargs["python_callable"]
    work(ds=DATE)
    assert asked.read_text() == NIGHT
    for code, error in ((UNUSABLE, Final), *((code, Raised) for code in AGAIN)):
        ends(code)
        with pytest.raises(Raised) as caught:
            work(ds=DATE)
        assert caught.type is error


def test_dagster_starts_the_partition_and_gives_up_where_trying_is_no_use(
    ends: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("AssetExecutionContext", "DailyPartitionsDefinition", "Definitions", "define_asset_job")
    made = {name: MagicMock() for name in (*names, "build_schedule_from_partitioned_job")}

    def asset(**_: object) -> Callable[[object], object]:
        return lambda work: work

    stand_in(monkeypatch, "dagster", Failure=Raised, RetryRequested=Raised, asset=asset, **made)
    work = runpy.run_path(alone("dagster_nightly.py", tmp_path))["transcripts"]
    context, asked = MagicMock(partition_key=DATE), ends(FINE)
    work(context)
    assert asked.read_text() == NIGHT
    again = {"max_retries": 5, "seconds_to_wait": 900}
    for code, said in ((UNUSABLE, {"allow_retries": False}), *((code, again) for code in AGAIN)):
        ends(code)
        with pytest.raises(Raised) as caught:
            work(context)
        assert caught.value.told == said
