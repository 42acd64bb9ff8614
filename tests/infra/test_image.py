"""The image, as far as it can be tried without Docker: linted, held against rules, and its steps done in a folder.

Not tried: apt-get, useradd, the base images, and that Docker itself builds it.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.infra.dockerfile import (
    FILE,
    IGNORE,
    ROOT,
    Step,
    before_the_source,
    copied,
    needs,
    of,
    pins,
    run,
    sent,
    steps,
)

LINTER = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")


PYTORCH, PYPI = "https://download.pytorch.org/whl/cpu", "https://pypi.org/simple"


@pytest.fixture
def plain_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pip that knows no index but those that it is told, whatever this machine's is told elsewhere."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def found() -> list[Step]:
    return steps(FILE.read_text())


@pytest.fixture(scope="module")
def context() -> list[Path]:
    return sent(IGNORE.read_text())


@pytest.mark.skipif(LINTER is None, reason="hadolint comes with the extra check")
def test_the_linter_has_nothing_to_say(tmp_path: Path) -> None:
    assert LINTER
    ran = subprocess.run([LINTER, str(FILE)], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")
    spoiled = tmp_path / "Dockerfile"
    spoiled.write_text(
        FILE.read_text().replace("ARG PYTHON=", "ARG OTHER=").replace("python:${PYTHON}", "python:latest")
    )
    assert subprocess.run([LINTER, str(spoiled)], capture_output=True, timeout=60, check=False).returncode == 1


def test_it_ends_as_a_user_without_rights(found: list[Step]) -> None:
    last = found[-1].stage
    assert [step.rest for step in of(found, last, "USER")] == ["1000:1000"]
    after = found[[step.word for step in found].index("USER") :]
    assert {step.word for step in after} <= {"USER", "WORKDIR", "CMD"}


def test_everything_is_pinned(found: list[Step]) -> None:
    installs = [part for step in found if step.word == "RUN" for part in step.rest.split("&&") if "pip install" in part]
    assert len(installs) == 4
    assert all("-c infra/constraints.txt" in part for part in installs)
    places = " ".join(step.rest for step in of(found, "needs", "ENV")).split()
    assert "PIP_CONSTRAINT=/build/infra/constraints.txt" in places, "what is built from source has needs, too"
    assert "setuptools" in pins()
    bases = {step.rest.split(" AS ")[0] for step in found if step.word == "FROM"}
    assert bases == {"python:${PYTHON}", "needs", "needs-${VARIANT}"}
    (version,) = [step.rest.removeprefix("PYTHON=") for step in found if step.rest.startswith("PYTHON=")]
    assert re.fullmatch(r"3\.\d+\.\d+-slim-\w+", version)


def test_a_change_of_the_source_installs_nothing_anew(found: list[Step]) -> None:
    order = [step.rest for step in found if step.stage == "installed"]
    needs = next(i for i, rest in enumerate(order) if "-r needs.txt" in rest)
    source = next(i for i, rest in enumerate(order) if rest.startswith("models "))
    assert needs < source
    assert "--no-deps ." in order[-1]
    early = [step.rest for step in found if step.word == "COPY" and step.stage == "needs"]
    assert early == ["infra/constraints.txt infra/"], "what else changes would have torch fetched anew"


def test_the_compiler_stays_behind_and_so_do_secrets_and_audio(found: list[Step], context: list[Path]) -> None:
    assert [step.rest for step in of(found, "steno", "COPY")] == ["--from=installed /opt/steno /opt/steno"]
    assert "build-essential" not in " ".join(step.rest for step in of(found, "steno", "RUN"))
    assert {file.parts[0] for file in context} == {
        *("LICENSE", "README.md", "pyproject.toml"),
        *("infra", "jobs", "models", "pipeline"),
    }
    assert not [
        file for file in context if file.suffix in {".flac", ".safetensors", ".pem", ".env"} or "demo" in file.parts
    ]


def test_a_cluster_and_both_variants_get_their_packages(found: list[Step], context: list[Path], tmp_path: Path) -> None:
    asked = needs(found, context, tmp_path)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert asked[: len(project["dependencies"])] == project["dependencies"]
    assert any(each.startswith("ray[default]") for each in asked)
    assert not any(each.startswith(("pytest", "transformers", "moto")) for each in asked)


def test_what_is_sent_installs_and_runs_in_a_clean_folder(
    found: list[Step], context: list[Path], tmp_path: Path
) -> None:
    build, environment = tmp_path / "build", tmp_path / "steno"
    build.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=120)
    (site,) = environment.glob("lib/python*/site-packages")
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "packages.pth").write_text(
        f"{packages}\n"
    )  # the packages that are here already, so that no network is asked
    for step in found:
        if step.word == "COPY" and step.stage in {"needs", "installed"}:
            assert copied(step, context, build), step.rest
    last = list(of(found, "installed", "RUN"))[-1]
    ran = run(
        last, build, environment, {"pip install": "python -m pip install --no-build-isolation --ignore-installed"}
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    for command in (
        "steno --version",
        "steno transcribe --help",
        "python -m infra.submit --help",
        "python -m infra.spot -h",
    ):
        said = run(Step("", "RUN", command), tmp_path, environment, {})
        assert said.returncode == 0, said.stderr[-2000:]
    where = run(Step("", "RUN", "python -c 'import jobs.running; print(jobs.__file__)'"), tmp_path, environment, {})
    assert where.stdout.startswith(str(environment))


def stock(index: Path, name: str, version: str, *needed: str) -> None:
    """Put a package into an index that is a folder."""
    folder, title = index / name, f"{name}-{version}"
    folder.mkdir(parents=True)
    told = {"Metadata-Version": "2.1", "Name": name, "Version": version}
    lines = [f"{key}: {value}" for key, value in (*told.items(), *(("Requires-Dist", each) for each in needed))]
    with zipfile.ZipFile(folder / f"{title}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{title}.dist-info/METADATA", "\n".join([*lines, ""]))
        wheel.writestr(f"{title}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    (folder / "index.html").write_text(f'<a href="{title}-py3-none-any.whl">{title}-py3-none-any.whl</a>')


def test_without_cuda_torch_is_of_the_one_index_and_what_it_needs_of_the_other(
    found: list[Step], context: list[Path], tmp_path: Path, plain_pip: None
) -> None:
    for step in of(found, "needs", "COPY"):
        copied(step, context, tmp_path)
    torch, needed = pins()["torch"], pins()["filelock"]
    stock(tmp_path / "pytorch", "torch", f"{torch}+cpu", "filelock")
    stock(tmp_path / "pytorch", "filelock", "3.0.0")
    stock(tmp_path / "pypi", "torch", torch, "filelock")
    stock(tmp_path / "pypi", "filelock", needed)
    (step,) = of(found, "needs-cpu", "RUN")
    places = {PYTORCH: (tmp_path / "pytorch").as_uri(), PYPI: (tmp_path / "pypi").as_uri()}
    only_tried = {"pip install": "python -m pip install --dry-run --ignore-installed"}
    ran = run(step, tmp_path, Path(sys.prefix), places | only_tried)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == f"Would install filelock-{needed} torch-{torch}+cpu"


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["cpu", "cuda"])
def test_the_package_index_has_what_is_asked_for(
    found: list[Step], context: list[Path], tmp_path: Path, variant: str, plain_pip: None
) -> None:
    if variant == "cpu" and not reached(f"{PYTORCH}/torch/"):
        pytest.skip(f"{PYTORCH} cannot be reached from here")
    environment = tmp_path / "steno"
    for step in before_the_source(found):
        copied(step, context, tmp_path)
    made = [step for step in of(found, "needs", "RUN") if "venv" in step.rest]
    asked = [*made, *of(found, f"needs-{variant}", "RUN"), next(of(found, "installed", "RUN"))]
    assert len(asked) == 3
    for step in asked:
        ran = run(step, tmp_path, environment, {"pip install": "pip install --dry-run"})
        assert ran.returncode == 0, f"{step.rest}\n{ran.stderr[-2000:]}"
        assert step.stage != "needs-cpu" or "+cpu" in ran.stdout.splitlines()[-1]


def reached(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=20):
            return True
    except OSError:
        return False
