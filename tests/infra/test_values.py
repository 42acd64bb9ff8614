"""The file of values that manifests are made of, and what is said of one that does not fit."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from infra.check import problems
from infra.ray_up import ray_up_problems
from infra.render import VALUES, ValuesError, read_values, render

ROOT = Path(__file__).parents[2]
CLUSTER = "raycluster.yaml"


def test_values_that_are_missing_and_unknown_are_told_together(tmp_path: Path) -> None:
    values = yaml.safe_load(VALUES.read_text())
    del values["tokenSecret"]
    values["tokenSecrets"] = "typo"
    values["gpuWorkers"]["maximum"] = 8
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ValuesError) as caught:
        read_values(tmp_path / "mine.yaml")
    said = "\n".join(caught.value.problems)
    assert "tokenSecret is missing" in said
    assert "no manifest asks for tokenSecrets" in said
    assert "no manifest asks for gpuWorkers.maximum" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lines of `name: value` are needed"),
        ("- steno\n", "lines of `name: value` are needed"),
        ("name: [\n", "is not YAML"),
        ("name: \xff\n", "is not YAML"),
        ("job:\n  inputs: [a]\n", "job must be one text or number"),
        ("aws:\n  zones: [a, b]\n", "aws.zones must be one text or number"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_holds_no_values_is_told(text: str | None, said: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    if text is not None:
        mine.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValuesError) as caught:
        read_values(mine)
    assert any(problem.startswith(f"{mine}") and said in problem for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--crd", "nowhere.yaml"), "nowhere.yaml cannot be read"),
        (("--crd", str(VALUES)), "it defines no kind"),
        (("--out", str(VALUES)), "cannot be written: File exists"),
    ],
)
def test_a_file_that_is_none_is_told_in_a_line(words: tuple[str, ...], said: str) -> None:
    command = [sys.executable, "-m", "infra", *words]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert said in ran.stderr.splitlines()[-1]


def test_millicores_are_whole_cores_to_ray(tmp_path: Path) -> None:
    values = yaml.safe_load(VALUES.read_text())
    values["gpuWorkers"]["cpu"], values["cpuWorkers"]["cpu"] = "7500m", "500m"
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    rendered = render(read_values(tmp_path / "mine.yaml"))
    kinds = rendered.ray_up["available_node_types"]
    assert (kinds["gpu"]["resources"]["CPU"], kinds["cpu"]["resources"]["CPU"]) == (7, 1)
    assert ray_up_problems(rendered.ray_up) == problems(rendered.kubernetes[CLUSTER]) == []
    (gpu, _) = rendered.kubernetes[CLUSTER][-1]["spec"]["workerGroupSpecs"]
    assert gpu["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "7500m"


def test_values_that_are_no_numbers_are_told_together(tmp_path: Path) -> None:
    values = yaml.safe_load(VALUES.read_text()) | {"idleSeconds": "2m"}
    values["gpuWorkers"] |= {"max": "eight", "gpu": 0.5}
    values["cpuWorkers"]["cpu"] = "7.5"
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ValuesError) as caught:
        read_values(tmp_path / "mine.yaml")
    assert [problem.rpartition(": ")[2] for problem in caught.value.problems] == [
        "cpuWorkers.cpu must be a whole number or millicores such as 7500m, and is 7.5",
        "gpuWorkers.gpu must be a whole number, and is 0.5",
        "gpuWorkers.max must be a whole number, and is eight",
        "idleSeconds must be a whole number, and is 2m",
    ]


def test_nothing_is_written_of_values_that_do_not_fit(tmp_path: Path) -> None:
    values = yaml.safe_load(VALUES.read_text()) | {"schedule": "nightly", "drainSeconds": 300}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    command = [sys.executable, "-m", "infra", "--values", str(tmp_path / "mine.yaml"), "--out", str(tmp_path / "out")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 2
    assert "'nightly' is not a 'cron'" in ran.stderr
    assert "the drain lasts 300 s" in ran.stderr
    assert not (tmp_path / "out").exists()
