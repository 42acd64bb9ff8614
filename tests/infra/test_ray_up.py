"""What `ray up` asks of the image and is asked by README: Ray's own code is given the one and the other."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement
from ray.autoscaler._private import aws
from ray.autoscaler._private.command_runner import DockerCommandRunner
from ray.autoscaler._private.util import parse_usage
from ray.scripts.scripts import cli

from infra.render import Json, read_values, render
from tests.infra.dockerfile import FILE, IGNORE, Step, needs, of, pins, sent, steps
from tests.readme import lines, section

PACKAGES = {"ssh": "openssh-client", "rsync": "rsync"}
"""Debian's packages, by the programs in them."""

INSIDE = re.compile(r"rsync -e \S*docker exec -i\S* -avz \S+ steno:")
"""How Ray brings files into a container: rsync must be at both ends."""


class Recorder:
    """In the place of `subprocess`: nothing is run, and all is told."""

    DEVNULL = subprocess.DEVNULL

    def __init__(self) -> None:
        self.commands: list[list[str]] = []

    def check_call(self, command: list[str], **_: object) -> int:
        self.commands.append(command)
        return 0

    def check_output(self, command: list[str], **_: object) -> bytes:
        self.commands.append(command)
        return b"true" if "State.Running" in command[-1] else b"/home/steno"


class Worker:
    """A node that has an address."""

    def internal_ip(self, node: str) -> str:
        return "10.0.0.7"


@pytest.fixture(scope="module")
def config() -> dict[str, Json]:
    return render(read_values()).ray_up


@pytest.fixture(scope="module")
def found() -> list[Step]:
    return steps(FILE.read_text())


def commands(config: dict[str, Json]) -> list[list[str]]:
    """What the head's autoscaler runs, in its container, to bring a worker its files and to start it."""
    recorder = Recorder()
    runner = DockerCommandRunner(
        config["docker"],
        log_prefix="",
        node_id="worker",
        provider=Worker(),
        auth_config=config["auth"],
        cluster_name=config["cluster_name"],
        process_runner=recorder,
        use_internal_ip=True,
    )
    for target in ("~/ray_bootstrap_config.yaml", *config["file_mounts"]):
        runner.run_rsync_up(target, target)
    for command in config["worker_start_ray_commands"]:
        runner.run(command)
    return recorder.commands


def test_the_image_has_the_programs_that_ray_calls_in_it(config: dict[str, Json], found: list[Step]) -> None:
    ran = commands(config)
    here = {command[0] for command in ran}
    told = [command[-1] for command in ran if command[0] == "ssh"]
    assert here == {"ssh", "rsync"}, "the head's autoscaler has learnt another way"
    assert any(INSIDE.search(said) for said in told), "Ray brings files into the container in another way"
    (installed,) = [step.rest for step in of(found, "steno", "RUN") if "apt-get install" in step.rest]
    (asked,) = [part for part in installed.split("&&") if "apt-get install" in part]
    assert {PACKAGES[program] for program in here} <= set(shlex.split(asked))


def test_the_image_has_the_modules_that_rays_provider_imports(
    config: dict[str, Json], found: list[Step], tmp_path: Path
) -> None:
    assert config["provider"]["type"] == "aws"
    imported = {name for file in Path(aws.__file__).parent.rglob("*.py") for name in modules(file.read_text())}
    assert "boto3" in imported
    there = {Requirement(each).name for each in needs(found, sent(IGNORE.read_text()), tmp_path)}
    assert imported - sys.stdlib_module_names - {"ray"} <= there


def modules(source: str) -> Iterator[str]:
    """The first names of what a file imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_readme_runs_on_aws_what_the_values_say_with_what_was_written(found: list[Step]) -> None:
    typed = [shlex.split(line)[2:] for line in lines(section("## On a cluster")) if line.startswith("$ .venv/bin/ray ")]
    understood = []
    for words in typed:
        name, command, rest = cli.resolve_command(click.Context(cli), words)
        understood.append((name, command.make_context(name, rest).params))
    assert [name for name, _ in understood] == ["up", "rsync-up", "exec", "exec", "down"]
    (_, brought), _, (_, run) = understood[1:4]
    written = {f"rendered/{name}" for name, _ in render(read_values()).files()}
    assert {params["cluster_config_file"] for _, params in understood} | {brought["source"]} <= written
    assert run["cmd"] == str(read_values()["command"]).replace("/etc/steno/job.yaml", "job.yaml")
    *_, there = [step.rest for step in of(found, "steno", "WORKDIR")]
    assert brought["target"] == f"{there}/job.yaml"


def test_readme_waits_for_a_gpu_before_it_runs_on_aws(tmp_path: Path) -> None:
    (wait,) = [shlex.split(line)[-1] for line in lines(section("## On a cluster")) if "ray status" in line]
    without, used = parse_usage({"CPU": (0, 8)}, verbose=False), parse_usage({"GPU": (0, 1)}, verbose=False)
    looks = [["Pending:", " gpu, 1 launching", *without], [*without, *used]]
    for number, look in enumerate(looks):
        (tmp_path / f"look{number}").write_text("\n".join(look))
    for name, said in {"ray": 'cat "$(ls look* | head -1)"', "sleep": 'rm "$(ls look* | head -1)"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\ncd {tmp_path}\n{said}\n")
        (tmp_path / name).chmod(0o755)
    here = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    ran = subprocess.run(["/bin/bash", "-c", wait], env=here, capture_output=True, text=True, timeout=20, check=True)
    assert ran.stdout == f"{used[0]}\n"
    assert [path.name for path in tmp_path.glob("look*")] == ["look1"], "it looked once more than it slept"


def test_readme_builds_and_names_what_the_values_do() -> None:
    typed = [shlex.split(line, comments=True)[1:] for line in lines(section("## On a cluster"))]
    values = read_values()
    assert [words[-1] for words in typed if words[0] in {"infra/image/build.sh", "docker"}] == 2 * [values["image"]]
    assert [words[-1] for words in typed if words[1] == "create"] == [values["namespace"]]


def test_the_manifests_name_the_ray_that_is_in_the_image() -> None:
    assert read_values()["rayVersion"] == pins()["ray"]


@pytest.mark.parametrize("driver", ["aiobotocore", "boto3"])
def test_the_versions_that_are_pinned_agree_on_botocore(driver: str) -> None:
    (wanted,) = [
        each for each in map(Requirement, requires(driver) or []) if each.name == "botocore" and not each.marker
    ]
    assert pins()["botocore"] in wanted.specifier
    assert driver in pins()
