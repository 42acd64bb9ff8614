"""S3 servers for tests: moto's, in this process, and a real one."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import hypothesis
import pytest
from moto.server import ThreadedMotoServer

from pipeline.stores import s3

BUCKET = "corpus"
ROOT = Path(__file__).parents[1]

hypothesis.settings.register_profile("on a busy machine", deadline=None)
hypothesis.settings.load_profile("on a busy machine")


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side, where asked: what starts an engine or the gateway one after the other, the rest file by file."""
    for item in items:
        alone = any(item.get_closest_marker(name) for name in ("ray", "s3"))
        item.add_marker(pytest.mark.xdist_group("alone" if alone else str(item.path)))
    items.sort(key=lambda item: not any(item.get_closest_marker(name) for name in ("ray", "s3")))


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """Moto's server on a free port of loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto_s3(moto_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty folder of a bucket on moto's server; the credentials are in the environment, for child processes too."""
    yield from bucket_at(moto_server, "nobody", "nothing-secret", monkeypatch)


@pytest.fixture(scope="session")
def rgw_server() -> Iterator[str]:
    """A Ceph gateway, started for the session; a skip where it is not installed, unless it is required."""
    home = Path(os.environ.get("STENOPOOL_RGW", ROOT / ".rgw"))
    if not (home / "programs").is_dir():
        complain = pytest.fail if "s3" in os.environ.get("STENOPOOL_REQUIRE", "").split(",") else pytest.skip
        complain(f"no Ceph gateway in {home}: infra/s3/rgw.sh install {home}")
    script = str(ROOT / "infra" / "s3" / "rgw.sh")
    subprocess.run([script, "start", str(home)], check=True, timeout=300, stdout=subprocess.DEVNULL)
    yield f"http://127.0.0.1:{os.environ.get('RGW_PORT', '8087')}"
    subprocess.run([script, "stop", str(home)], check=True, timeout=60)


@pytest.fixture
def rgw(rgw_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty folder of a bucket on the Ceph gateway; the credentials are in the environment."""
    yield from bucket_at(rgw_server, "test", "testtest", monkeypatch)


def bucket_at(endpoint: str, key: str, secret: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Point the environment at a server and an empty folder of a bucket there; its address."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    s3.made.cache_clear()
    if not s3.file_system().exists(BUCKET):
        s3.file_system().call_s3("create_bucket", Bucket=BUCKET)
    yield f"s3://{BUCKET}/{uuid4().hex}"
    s3.made.cache_clear()
