"""`steno doctor` finds what would stop a job, says what to do about it, never hangs and never shows a secret."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from jobs import checkup
from jobs.checks import machine, packages
from jobs.checks.finding import Finding, fine
from jobs.cli import main
from jobs.exits import FINE, UNUSABLE

LASR = Path(__file__).parents[2] / "jobs" / "demo" / "checkpoints" / "lasr"
Asked = Callable[..., tuple[int, Mapping[str, Mapping[str, str]]]]


@pytest.fixture
def asked(capsys: pytest.CaptureFixture[str]) -> Asked:
    """`steno doctor --json` in this process: exit code, and each finding by what it is about."""

    def run(*words: object) -> tuple[int, Mapping[str, Mapping[str, str]]]:
        code = main(["doctor", *map(str, words), "--json"])
        told = json.loads(capsys.readouterr().out)
        assert told["healthy"] == (code == FINE)
        return code, {finding["about"]: finding for finding in told["findings"]}

    return run


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting it takes seconds, and is looked at once."""
    monkeypatch.setattr(checkup, "engine", lambda *_: iter([fine("Ray", "not tried")]))


@pytest.mark.ray
def test_a_machine_that_can_run_a_job_is_healthy(asked: Asked, tmp_path: Path) -> None:
    code, found = asked("--output", tmp_path / "out", "--model", LASR, "--patience", 240)
    assert code == FINE, found
    assert "ran a task" in found["Ray on this machine"]["said"]
    assert "1.8 million parameters" in found["model"]["said"]
    assert "can be written" in found["output"]["said"]
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()], "it leaves nothing behind"


@pytest.mark.usefixtures("without_ray")
def test_everything_that_is_wrong_is_found_at_once_with_what_to_do(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    code, found = asked("--model", tmp_path / "nothing", "--output", tmp_path / "file" / "out")
    assert code == UNUSABLE
    wrong = {about for about, finding in found.items() if finding["verdict"] == "problem"}
    assert wrong == {"model", "output"}
    assert all(found[about]["remedy"] for about in wrong)


@pytest.mark.usefixtures("without_ray")
def test_a_bucket_is_tried_and_no_secret_is_shown(asked: Asked, moto_s3: str) -> None:
    code, found = asked("--output", moto_s3)
    assert code == FINE, found
    assert found["credentials"]["said"].startswith("for S3, from env")
    assert found["clock"]["verdict"] == "ok"
    assert "nothing-secret" not in str(found)
    code, found = asked("--output", "s3://no-such-bucket-anywhere/out")
    assert code == UNUSABLE
    assert "no-such-bucket-anywhere" in found["output"]["said"]


@pytest.mark.usefixtures("without_ray")
def test_missing_credentials_are_a_finding(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    code, found = asked("--output", "s3://some-bucket/out")
    assert code == UNUSABLE
    assert "AWS_ACCESS_KEY_ID" in found["credentials"]["remedy"]


def test_what_never_answers_is_given_up(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def hung() -> Iterator[Finding]:
        time.sleep(600)
        yield fine("GPU", "never")

    monkeypatch.setattr(checkup, "devices", hung)
    monkeypatch.setattr(checkup, "GRACE", 0.2)
    monkeypatch.setattr("jobs.checks.engine.TRIAL", "import time; time.sleep(600)")
    began = time.monotonic()
    code, found = asked("--patience", 2)
    assert time.monotonic() - began < 20
    assert code == UNUSABLE
    assert "no answer within 2 s" in found["GPU"]["said"]
    assert "no answer within 2 s" in found["Ray" if "Ray" in found else "Ray on this machine"]["said"]


def test_nothing_is_left_waiting_when_the_doctor_is_stopped(tmp_path: Path) -> None:
    there = tmp_path / "pid"
    trial = f"import os, time; open({str(there)!r}, 'w').write(str(os.getpid()) + ' '); time.sleep(600)"
    program = f"from jobs.checks import engine; engine.TRIAL = {trial!r}; list(engine.engine(None, 500.0))"
    asked = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    until(lambda: there.exists() and there.read_text().endswith(" "))
    asked.send_signal(signal.SIGINT)
    asked.wait(20)
    trying = Path("/proc") / there.read_text().strip()
    until(lambda: not trying.exists() or "Z" in (trying / "stat").read_text().rpartition(")")[2])


def until(seen: Callable[[], bool]) -> None:
    """Wait for it, not for ever."""
    ends = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_a_cluster_that_cannot_be_joined_is_told_by_its_address(asked: Asked) -> None:
    code, found = asked("--address", "nowhere.invalid:6379", "--patience", 8)
    assert code == UNUSABLE
    assert found["Ray at nowhere.invalid:6379"]["verdict"] == "problem"


@pytest.mark.usefixtures("without_ray")
def test_an_extra_that_is_missing_is_a_note_and_a_package_that_is_missing_a_problem(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = packages.version

    def without(*names: str) -> Callable[[str], str]:
        def version(name: str) -> str:
            if name in names:
                raise PackageNotFoundError(name)
            return known(name)

        return version

    monkeypatch.setattr(packages, "version", without("kenlm"))
    code, found = asked()
    assert code == FINE
    assert found["extra lm"]["verdict"] == "note"
    assert found["extra lm"]["remedy"] == "pip install -e '.[lm]' in the project's folder"
    monkeypatch.setattr(packages, "version", without("soxr"))
    assert main(["doctor"]) == UNUSABLE
    assert "soxr is not installed" in capsys.readouterr().err


def test_little_room_is_noted_and_none_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for free, verdict in ((50e9, "ok"), (5e9, "note"), (1e8, "problem")):
        monkeypatch.setattr(machine.shutil, "disk_usage", lambda _, free=free: Disk(free))
        assert machine._disk("disk", tmp_path, "make room").verdict == verdict


def test_it_reads_as_lines_with_what_to_do_below(capsys: pytest.CaptureFixture[str]) -> None:
    found = checkup.Checkup((fine("cores", "2"), Finding("output", "problem", "cannot be written", "mend it")))
    assert found.text().splitlines() == [
        "ok       cores   2",
        "problem  output  cannot be written",
        "         -> mend it",
        "",
        "1 in the way of a job.",
    ]


class Disk:
    """As `shutil.disk_usage` tells."""

    def __init__(self, free: float) -> None:
        self.free = free
