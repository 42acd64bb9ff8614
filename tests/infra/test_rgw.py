"""The script that starts and stops the gateway ends what it has started, and nobody else."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "infra" / "s3" / "rgw.sh"
SLEEP = shutil.which("sleep") or "sleep"


@contextmanager
def written_down(home: Path, program: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose number the script finds in its folder."""
    (home / "state").mkdir()
    with subprocess.Popen(["sleep", "60"], executable=program) as running:  # noqa: S607
        (home / "state" / "rgw.pid").write_text(f"{running.pid}\n")
        yield running
        running.kill()


def stopped(home: Path) -> bool:
    subprocess.run([SCRIPT, "stop", home], check=True, timeout=30)
    return not (home / "state" / "rgw.pid").exists()


def test_a_process_that_has_a_gateways_old_number_lives_on(tmp_path: Path) -> None:
    with written_down(tmp_path, SLEEP) as stranger:
        assert stopped(tmp_path)
        with pytest.raises(subprocess.TimeoutExpired):
            stranger.wait(timeout=0.5)


def test_a_gateway_is_stopped_by_whatever_way_its_folder_is_named(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    (home / "programs").mkdir(parents=True)
    other.symlink_to(home)
    gateway = shutil.copy(SLEEP, home / "programs" / "radosgw")
    with written_down(home, str(gateway)) as running:
        assert stopped(other)
        assert running.wait(timeout=10) < 0
