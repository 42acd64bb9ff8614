"""What `steno retry` takes from the last run, and what it is told anew; and options that would change nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.cli import app
from jobs.options import Incremental, Retry, Transcribe, Work
from jobs.options_heads import Embed, Units
from jobs.retrying import planned_again
from pipeline.output import record_run
from pipeline.storage import Store
from tests.jobs.finished import failed, write_output

IDLE: dict[str, tuple[Work, str]] = {
    "cpus": (
        Transcribe((), "out", "model", cpus=2, address="head:6379"),
        "this machine's, and the work is done at head",
    ),
    "lm_weight": (Transcribe((), "out", "model", beam=4, lm_weight=0.7), "for a language model, and lm names none"),
    "hotword_boost": (Incremental((), "out", "model", hotword_boost=7.0), "it is for hotwords, and none is named"),
    "frame_dtype": (
        Embed((), "out", "model", frame_dtype="float16"),
        "it is for frames that are written: add --frames",
    ),
    "clusters": (Units((), "out", "model", codes=True, clusters=50), "codes are the model's own"),
    "fit_minutes": (Units((), "out", "model", codes=True, fit_minutes=5.0), "codes are the model's own"),
    "seed": (Units((), "out", "model", codes=True, seed=7), "codes are the model's own"),
}


@pytest.fixture
def output(tmp_path: Path) -> str:
    """With a row that failed."""
    return write_output(tmp_path / "out", [[failed("a")]])


def ran(output: str, job: str, **settings: object) -> None:
    """The record of a run of this job."""
    told = {"inputs": ["in"], "output": output, "model": "model", **settings}
    record_run(Store(output), "last", {"run_id": "last", "job": job, "settings": told})


@pytest.mark.parametrize("name", IDLE)
def test_an_option_that_would_change_nothing_is_told(name: str) -> None:
    options, said = IDLE[name]
    (flaw,) = options.flaws()
    assert flaw.startswith(f"{name} is {getattr(options, name)!r}: ") and said in flaw
    usual = type(options)((), "out", "model")
    assert replace(options, **{name: getattr(usual, name)}).flaws() == []
    assert usual.flaws() == []


@pytest.mark.parametrize("name", [name for name in IDLE if name != "cpus"])
def test_one_that_an_earlier_run_was_told_is_not_told_again(name: str, output: str) -> None:
    options, _ = IDLE[name]
    ran(output, type(options).__name__, **{name: getattr(options, name), "codes": getattr(options, "codes", False)})
    work, _, _ = planned_again(Retry(output))
    assert work.flaws() == [] and getattr(work, name) != getattr(options, name)


def test_where_it_runs_is_said_anew(output: str) -> None:
    there = {"metrics_port": 9090, "device": "cuda", "pool": "8", "price": ["cpu=1"], "readers": 5, "cpus": 2}
    ran(output, "Transcribe", channels="first", beam=4, window=77, **there)
    options = Retry(output, address="head:6379", pool="1-3", price=("gpu=2.5",), model_gpus=0.5)
    work, _, _ = planned_again(options)
    assert work.flaws() == []
    assert isinstance(work, Transcribe) and (work.channels, work.beam, work.window) == ("first", 4, 77)
    assert (work.address, work.bounds, work.prices, work.model_gpus) == ("head:6379", (1, 3), {"gpu": 2.5}, 0.5)
    assert (work.metrics_port, work.device, work.readers, work.cpus) == (None, "auto", None, None)


def test_it_is_said_on_the_command_line_and_in_a_file(output: str, tmp_path: Path) -> None:
    job = tmp_path / "job.yaml"
    job.write_text("pool: 1-3\nprice:\n  gpu: 2.5\nmetrics_port: 9090\n")
    words = ["retry", output, "--config", str(job), "--device", "cpu", "--pool", "2"]
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    expected = Retry(output, pool="2", price=("gpu=2.5",), metrics_port=9090, device="cpu")
    assert bound.arguments["options"] == expected
