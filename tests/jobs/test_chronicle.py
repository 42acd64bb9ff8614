"""Every run leaves a record, with its exit code if it ends, and only a run that is done counts as done."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs import chronicle
from jobs.chronicle import Chronicle
from jobs.cli import main
from jobs.demo.__main__ import CORPUS, MODEL
from jobs.exits import BROKEN, FAILED_ROWS, FAULT, FINE, HELD, INTERRUPTED, UNFINISHED, UNUSABLE
from jobs.options import Incremental, Retry
from jobs.options_looking import Reporting
from jobs.page.history import runs
from jobs.reporting import report
from jobs.retrying import planned_again
from pipeline import machines
from pipeline.lease import Lease, LeaseLost
from pipeline.output import IDENTITY, read_runs, record_run
from pipeline.passes import OutageError, Passes
from pipeline.storage import Store, StoreError
from pipeline.vigil import EngineLostError
from tests.faults.runs import engineless

DATE = "2026-11-20"


@pytest.fixture(autouse=True)
def here() -> Iterator[None]:
    """Without the engine."""
    with engineless():
        yield


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """A night of two recordings, one of them broken."""
    inputs = [str(CORPUS / "loose" / "flac-00.flac"), str(CORPUS / "broken" / "letter.flac")]
    words = ["incremental", "--inputs", inputs[0], "--inputs", inputs[1], "-o", str(tmp_path / "out")]
    return [*words, "-m", str(MODEL), "--cpus", "1", "--date", DATE]


def records(tmp_path: Path) -> list[tuple[str, str | None, int | None]]:
    """Name, end and exit code of each run, by its name."""
    found = [(path.stem, json.loads(path.read_text())) for path in sorted((tmp_path / "out" / "runs").glob("*.json"))]
    return [(name, record["ended"], record["exit_code"]) for name, record in found]


def test_a_run_that_is_done_says_with_which_code(
    asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*asked, "--json"]) == FAILED_ROWS
    assert json.loads(capsys.readouterr().out)["exit_code"] == FAILED_ROWS
    ((name, *told),) = records(tmp_path)
    assert told == ["done", FAILED_ROWS]
    assert main([*asked, "--failed-ok"]) == FINE
    assert records(tmp_path) == [(name, "done", FAILED_ROWS)], "the night was done before, and is not done again"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), INTERRUPTED, "interrupted"),
        (ZeroDivisionError("by nothing"), BROKEN, "broken"),
        (OutageError("the bucket is away"), UNFINISHED, "unfinished"),
        (EngineLostError("its process has died"), UNFINISHED, "unfinished"),
        (StoreError("Unreachable", "no answer"), UNFINISHED, "unfinished"),
        (StoreError("Full", "the disk is full"), UNUSABLE, "refused"),
    ],
)
def test_a_run_that_is_stopped_or_breaks_leaves_a_record_that_the_next_replaces(
    error: BaseException, code: int, said: str, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Passes) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(Passes, "run", fail)
        assert main(asked) == code
    ((name, *told),) = records(tmp_path)
    assert told == [said, code]
    assert main(["retry", str(tmp_path / "out")]) == UNUSABLE, "no run has come to its end"
    assert main(asked) == FAILED_ROWS
    assert records(tmp_path) == [(name, "done", FAILED_ROWS)]


def test_a_fault_is_told_where_all_else_is_told(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Passes) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(Passes, "run", fail)
    assert main([*asked, "--log", "json"]) == BROKEN
    *_, where, what = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert where["level"] == what["level"] == "error" and where["run"].startswith("20261120T")
    assert where["message"].startswith("Traceback") and "ZeroDivisionError: by nothing" in where["message"]
    assert what["message"] == FAULT


def test_a_night_that_was_stopped_has_a_page_and_the_next_start_adds_to_what_it_did_and_cost(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked += ["--shard-size", "1", "--price", "cpu=3600"]
    monkeypatch.setattr(machines, "nodes", lambda: [("cpu",)])
    commit, committed = Passes._commit, list[object]()

    def stopped(passes: Passes, *told: object) -> None:
        if committed:
            raise KeyboardInterrupt
        committed.append(told)
        commit(passes, *told)  # type: ignore[arg-type]

    with monkeypatch.context() as stop:
        stop.setattr(Passes, "_commit", stopped)
        assert main(asked) == INTERRUPTED
    (path,) = (tmp_path / "out" / "runs").glob("*.json")
    first = json.loads(path.read_text())
    assert (first["counts"]["ok"], sum(first["counts"].values()), first["shards"]) == (1, 1, 1)
    assert first["audio_seconds"] > 1 and 0 < first["cost"] <= first["wall_seconds"]
    assert first["hourly_cost"] == pytest.approx(3600 * first["cost"] / first["audio_seconds"])
    told = report(Reporting(str(tmp_path / "out"), run=path.stem))
    assert told.rows == 1 and f"{path.stem}</code> interrupted" in Path(told.page).read_text()

    assert main(asked) == FAILED_ROWS
    last = json.loads(path.read_text())
    assert last["counts"] == {"ok": 1, "empty": 0, "skipped": 0, "failed": 1} and last["shards"] == 2
    assert last["cost"] > first["cost"] and last["wall_seconds"] > first["wall_seconds"]
    assert last["hourly_cost"] == pytest.approx(3600 * last["cost"] / last["audio_seconds"])
    assert report(Reporting(str(tmp_path / "out"), run=path.stem)).rows == 2


def test_a_night_that_is_killed_leaves_what_it_did_and_cost_until_then(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked += ["--shard-size", "1", "--price", "cpu=3600"]
    monkeypatch.setattr(machines, "nodes", lambda: [("cpu",)])
    monkeypatch.setattr(chronicle, "EVERY", 0.0)
    commit, goes_on = Passes._commit, list[dict[str, object]]()

    def killed(passes: Passes, *told: object) -> None:
        (path,) = (tmp_path / "out" / "runs").glob("*.json")
        goes_on.append(json.loads(path.read_text()))
        if len(goes_on) == 2:
            raise KeyboardInterrupt
        commit(passes, *told)  # type: ignore[arg-type]

    with monkeypatch.context() as kill:
        kill.setattr(Passes, "_commit", killed)
        kill.setattr(Chronicle, "end", lambda *_: None)
        assert main(asked) == INTERRUPTED
    ((name, *told),) = records(tmp_path)
    assert told == [None, None]
    assert [sum(record["counts"].values()) for record in goes_on] == [0, 1]  # type: ignore[attr-defined]
    last = json.loads((tmp_path / "out" / "runs" / f"{name}.json").read_text())
    assert last == goes_on[1] and last["cost"] > 0
    told = report(Reporting(str(tmp_path / "out"), run=name))
    assert told.rows == 1 and f"{name}</code> has not ended" in Path(told.page).read_text()
    assert main(["retry", str(tmp_path / "out")]) == UNUSABLE, "no run has come to its end"

    assert main(asked) == FAILED_ROWS
    assert records(tmp_path) == [(name, "done", FAILED_ROWS)]
    whole = json.loads((tmp_path / "out" / "runs" / f"{name}.json").read_text())
    assert whole["counts"] == {"ok": 1, "empty": 0, "skipped": 0, "failed": 1} and whole["shards"] == 2
    assert whole["cost"] > last["cost"] and whole["wall_seconds"] > last["wall_seconds"]


def test_who_has_lost_the_output_writes_no_record(asked: list[str], tmp_path: Path) -> None:
    assert main(asked) == FAILED_ROWS
    before = records(tmp_path)
    store, options = Store(str(tmp_path / "out")), Incremental((), str(tmp_path / "out"), str(MODEL))
    with Lease(store, before[0][0], beat=0.1, expiry=60) as lease:
        kept = Chronicle(options, before[0][0])
        lease._lost = "another has it"
        with pytest.raises(LeaseLost, match="another has it"):
            kept.open(store, lease)
    assert records(tmp_path) == before


def test_who_loses_the_output_on_the_way_does_not_tell_again_what_earlier_starts_did(tmp_path: Path) -> None:
    store, options = Store(str(tmp_path / "out")), Incremental((), str(tmp_path / "out"), str(MODEL))
    record_run(store, "night", {"run_id": "night", "ended": None, "counts": {"ok": 7}, "shards": 2})
    store.create(IDENTITY, b'{"model": "", "revision": null, "weights": ""}')
    kept = Chronicle(options, "night")
    with Lease(store, "night", beat=0.1, expiry=60) as lease:
        kept.open(store, lease)
    kept.end(HELD)
    told = {path.stem[:10]: json.loads(path.read_text()) for path in (tmp_path / "out" / "runs").glob("*.json")}
    assert {name: (each["shards"], each["counts"]["ok"]) for name, each in told.items()} == {
        "night": (2, 7),
        "night-held": (0, 0),
    }


def test_the_last_run_is_the_one_that_was_started_last_whatever_its_date(asked: list[str], tmp_path: Path) -> None:
    begun = datetime.now(UTC).replace(microsecond=0)
    assert main(asked) == FAILED_ROWS
    time.sleep(1.1)
    assert main([*asked[:-1], "2026-11-19", "--window", "77"]) == FAILED_ROWS
    output = str(tmp_path / "out")
    assert planned_again(Retry(output))[0].window == 77
    first, last = sorted(read_runs(Store(output)), key=lambda record: str(record["run_id"]), reverse=True)
    told = [datetime.fromisoformat(str(record[name])) for record in (first, last) for name in ("began", "finished")]
    assert told == sorted(told) and begun <= told[0] and told[-1] <= datetime.now(UTC)
    assert [run.run_id for run in runs(Store(output))] == [first["run_id"]], "the second had nothing to do"


def test_a_refusal_is_recorded_where_there_is_an_output_and_leaves_nothing_elsewhere(
    asked: list[str], tmp_path: Path
) -> None:
    other = [*asked, "--channels", "first"]
    assert main([*asked, "--window", "0"]) == UNUSABLE
    assert records(tmp_path) == []
    assert main(asked) == FAILED_ROWS
    ((first, *_),) = records(tmp_path)
    assert main(other) == UNUSABLE
    ((refused, *told),) = [record for record in records(tmp_path) if record[0] != first]
    assert told == ["refused", UNUSABLE]
    record = json.loads((tmp_path / "out" / "runs" / f"{refused}.json").read_text())
    assert record["settings"]["channels"] == "first"
    assert "option channels" in record["problems"][0]


def test_who_is_turned_away_leaves_the_holders_record_alone(asked: list[str], tmp_path: Path) -> None:
    assert main([*asked[:-1], "2026-11-19"]) == FAILED_ROWS
    before = records(tmp_path)
    with Lease(Store(str(tmp_path / "out")), "the-other", beat=0.5, expiry=60):
        assert main(asked) == HELD
    assert main(asked) == FAILED_ROWS
    held, done = (
        record for record in sorted(records(tmp_path), key=lambda each: each[1] == "done") if record not in before
    )
    assert held[1:] == ("turned away", HELD)
    assert held[0].startswith(f"{done[0]}-held-")
