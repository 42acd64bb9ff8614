"""The cluster at home: three nodes on loopback, a token before every door, and the same table as without it."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pytest

from infra.render import Json, Rendered, read_values, render
from tests.listening import family, is_loopback, listening
from tests.readme import blocks, section

pytestmark = [pytest.mark.ray, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "infra" / "cluster" / "local.sh")
DEMO = ROOT / "jobs" / "demo"
PORT = 27400
NODES = 3
ABOUT_THE_RUN = ["run_id", "model"]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Its folder; pytest's own are too deep for Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="steno-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def outside(home: Path) -> Mapping[str, str]:
    """The environment of somebody who knows where the cluster is, and no token."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**plain, "CLUSTER_HOME": str(home), "CLUSTER_PORT": str(PORT), "PYTHON": sys.executable, "HOME": str(home)}


@pytest.fixture(scope="module")
def inside(outside: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """The cluster runs, and this is the environment of somebody who is let in."""
    try:
        script(outside, "start", str(NODES))
        said = script(outside, "env").removeprefix("export ")
        yield {**outside, **dict(word.split("=", 1) for word in shlex.split(said))}
    finally:
        script(outside, "stop")


def script(environment: Mapping[str, str], *words: str) -> str:
    ran = subprocess.run([SCRIPT, *words], env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def nodes(environment: Mapping[str, str]) -> list[str]:
    return script(environment, "status").splitlines()


def test_three_nodes_join_and_listen_on_loopback_alone(inside: Mapping[str, str], home: Path) -> None:
    assert [line.split()[1] for line in nodes(inside)] == ["head", "worker", "worker"]
    pids = [pid for file in (home / "nodes").glob("*.pid") for pid in family(int(file.read_text()))]
    places = listening(pids)
    assert len(places) >= 4 * NODES
    assert [place for place in places if not is_loopback(place[0])] == []


@pytest.mark.parametrize("strange", [{"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0"}])
def test_nobody_is_let_in_without_the_token(
    inside: Mapping[str, str], outside: Mapping[str, str], strange: Mapping[str, str]
) -> None:
    ask = [sys.executable, "-m", "infra.cluster.nodes", f"127.0.0.1:{PORT}"]
    ran = subprocess.run(
        ask, cwd=ROOT, env={**outside, **strange}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode != 0
    assert "UNAUTHENTICATED" in ran.stderr.upper() or "authentication" in ran.stderr.lower(), ran.stderr
    assert ran.stdout == ""


def test_the_token_is_for_its_owner_alone(inside: Mapping[str, str], home: Path) -> None:
    assert (home / "token").stat().st_mode & 0o077 == 0
    assert len((home / "token").read_text().strip()) == 64


@pytest.mark.skipif(find_spec("aiohttp_cors") is None, reason="the dashboard needs the extra cluster")
@pytest.mark.parametrize("door", ["api/jobs/", "nodes?view=summary", "api/v0/logs"])
def test_the_dashboard_answers_401_without_a_token(inside: Mapping[str, str], home: Path, door: str) -> None:
    address = f"http://127.0.0.1:{PORT + 100}/{door}"
    assert status(address, {}) == 401
    assert status(address, {"Authorization": "Bearer " + "0" * 64}) in {401, 403}
    assert status(address, {"Authorization": f"Bearer {(home / 'token').read_text().strip()}"}) not in {401, 403}


def status(address: str, headers: Mapping[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=dict(headers)), timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_the_table_is_the_one_that_a_run_without_a_cluster_writes(inside: Mapping[str, str], tmp_path: Path) -> None:
    there = transcribed(tmp_path / "there", inside, "--address", f"127.0.0.1:{PORT}")
    here = transcribed(tmp_path / "here", inside, "--cpus", "2")
    assert len(here) == 36
    assert set(here["status"].to_pylist()) == {"ok"}
    assert there.equals(here)


def transcribed(output: Path, environment: Mapping[str, str], *options: str) -> pa.Table:
    words = ["transcribe", str(DEMO / "corpus" / "shards"), "-o", str(output), "-m", str(DEMO / "checkpoints" / "lasr")]
    ran = subprocess.run(
        [sys.executable, "-m", "jobs.cli", *words, *options],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return pyarrow.dataset.dataset(output / "transcripts").to_table().drop_columns(ABOUT_THE_RUN)


def test_a_worker_leaves_at_once_and_another_joins_though_the_head_has_not_noticed(inside: Mapping[str, str]) -> None:
    before = nodes(inside)
    script(inside, "leave")
    script(inside, "join")
    for _ in range(60):
        if before[-1] not in (there := nodes(inside)):
            break
    assert (len(there), there[:-1]) == (NODES, before[:-1])


def test_the_drain_that_manifests_ask_for_is_one_that_ray_does(inside: Mapping[str, str]) -> None:
    worker = nodes(inside)[-1].split()[0]
    (group, *_) = _groups(render(read_values()))
    *shell, asked = group["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    drain, wait = asked.split(" && ")
    assert wait == "sleep 90"
    here = drain.replace("ray ", f"{sys.executable} -m infra.cluster.loopback ", 1) + f" --node-id {worker}"
    ran = subprocess.run([*shell, here], cwd=ROOT, env=inside, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    for _ in range(60):
        if len(nodes(inside)) == NODES - 1:
            break
    assert worker not in " ".join(nodes(inside)), "a drained node without work goes"
    script(inside, "join")
    assert len(nodes(inside)) == NODES


def _groups(rendered: Rendered) -> list[dict[str, Json]]:
    return rendered.kubernetes["raycluster.yaml"][-1]["spec"]["workerGroupSpecs"]


def test_the_readme_can_be_followed(outside: Mapping[str, str], home: Path, tmp_path: Path) -> None:
    at_home, real, *_ = blocks(section("## On a cluster"))  # AWS: in test_ray_up.py; what it costs: in test_readme.py
    commands = [line.removeprefix("$ ") for line in (at_home + real).splitlines()]
    assert all(line.startswith("$ ") for line in (at_home + real).splitlines())
    alone = {"CLUSTER_HOME": f"{home}/readme", "CLUSTER_PORT": str(PORT + 200)}
    words = {".venv/bin/python": sys.executable, ".venv/bin/steno": f"{sys.executable} -m jobs.cli"}
    places = {"-o out/": f"-o {tmp_path}/out", "mine.yaml": f"{tmp_path}/mine.yaml", "rendered/": f"{tmp_path}/r/"}
    text = "\n".join(line for line in commands if not line.startswith(NOT_HERE))
    for old, new in {**words, **places}.items():
        text = text.replace(old, new)
    try:
        ran = subprocess.run(
            ["/bin/bash", "-euc", text],
            cwd=ROOT,
            env={**outside, **alone},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
    finally:
        script({**outside, **alone}, "stop")
    assert ran.returncode == 0, ran.stderr
    assert "The table has 36 rows: 36 ok." in ran.stdout
    assert (tmp_path / "r" / "cronjob.yaml").exists()


NOT_HERE = ("infra/image/build.sh", "docker", "kubectl")
"""They need Docker, and Kubernetes."""
