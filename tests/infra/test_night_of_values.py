"""The command that the manifests give Kubernetes, run here: what its pod would end with, and what stands afterwards."""

import shlex
from pathlib import Path

import pytest
import yaml

from infra.render import Json, read_values, render
from infra.submit import dated
from jobs.cli import main
from jobs.demo.__main__ import CORPUS, MODEL
from jobs.exits import FAILED_ROWS, FINE
from jobs.outcome import look
from pipeline.output import read_runs
from pipeline.storage import Store
from tests.faults.runs import engineless

DATE = "2026-11-20"


def night(job: Json, config: Path, *more: str) -> int:
    """Run a RayJob's command as Ray would, with this file of options in the place of its own."""
    words = shlex.split(job["spec"]["entrypoint"].replace("/etc/steno/job.yaml", str(config)))
    assert words.pop(0) == "steno"
    with engineless():
        return main([*words, *more])


@pytest.mark.parametrize("file", ["rayjob.yaml", "cronjob.yaml", "raycronjob.yaml"])
def test_a_night_with_a_broken_file_is_fine_and_is_done_once(file: str, tmp_path: Path) -> None:
    documents = render(read_values()).kubernetes
    (job,) = [each for each in documents["rayjob.yaml"] if each["kind"] == "RayJob"]
    if file == "cronjob.yaml":
        job = dated(job, DATE)
    if file == "raycronjob.yaml":
        job = {"spec": documents[file][-1]["spec"]["jobTemplate"]}
    config, out = tmp_path / "job.yaml", str(tmp_path / "out")
    inputs = [str(CORPUS / "loose" / "flac-00.flac"), str(CORPUS / "broken" / "letter.flac")]
    config.write_text(yaml.safe_dump({"inputs": inputs, "output": out, "model": str(MODEL), "cpus": 1}))
    assert night(job, config) == FINE
    assert night(job, config) == FINE
    assert look(Store(out)).counts["failed"] == 1
    (record,) = read_runs(Store(out))
    assert record["settings"]["date"] == DATE or file != "cronjob.yaml"
    job["spec"]["entrypoint"] = job["spec"]["entrypoint"].replace(" --failed-ok", "")
    assert night(job, config) == FAILED_ROWS
