"""S3 servers for tests: moto's, in this process, and a real one."""

import os
from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from pipeline.stores import s3

BUCKET = "corpus"


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
    """An empty bucket on moto's server; the credentials are in the environment, for child processes too."""
    yield from bucket_at(moto_server, "nobody", "nothing-secret", monkeypatch)


def bucket_at(endpoint: str, key: str, secret: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Point the environment at a server and make an empty bucket there; its address."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    s3.made.cache_clear()
    system = s3.file_system()
    if system.exists(BUCKET):
        system.rm(BUCKET, recursive=True)
    system.call_s3("create_bucket", Bucket=BUCKET)
    yield f"s3://{BUCKET}"
    s3.made.cache_clear()
