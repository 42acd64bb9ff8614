"""What the script of the cluster at home says where there is nothing to do, told without a cluster."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "infra" / "cluster" / "local.sh"


def refused(home: Path, *words: str) -> str:
    environment = os.environ | {"CLUSTER_HOME": str(home), "PYTHON": sys.executable}
    ran = subprocess.run([SCRIPT, *words], env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, ran.stdout) == (1, ""), ran.stderr
    return ran.stderr


@contextmanager
def nodes(home: Path, many: int) -> Iterator[None]:
    """Processes that the script takes for its nodes."""
    (home / "nodes").mkdir()
    with subprocess.Popen(["sleep", "60"]) as node:  # noqa: S607
        for number in range(many):
            (home / "nodes" / f"{number}.pid").write_text(f"{node.pid}\n")
        yield
        node.kill()


@pytest.mark.parametrize("word", ["status", "join"])
def test_where_nothing_runs_it_is_said_at_once(word: str, tmp_path: Path) -> None:
    assert refused(tmp_path, word) == "local.sh: nothing is running: local.sh start N\n"


@pytest.mark.parametrize("many", ["0", "13", "three", "-1"])
def test_a_number_of_nodes_that_cannot_be_is_told(many: str, tmp_path: Path) -> None:
    assert refused(tmp_path, "start", many) == "local.sh: 1 to 12 nodes\n"


def test_no_node_gets_the_ports_of_another(tmp_path: Path) -> None:
    with nodes(tmp_path, 12):
        assert refused(tmp_path, "join") == "local.sh: 12 nodes are all that there are ports for\n"


def test_a_cluster_that_runs_is_not_started_again(tmp_path: Path) -> None:
    with nodes(tmp_path, 1):
        assert refused(tmp_path, "start", "2") == "local.sh: it is running already: local.sh stop\n"
