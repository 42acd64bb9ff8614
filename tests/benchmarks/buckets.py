"""Where a benchmark's corpus lies: a bucket of the Ceph gateway, or a folder where that is not installed."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from pipeline.stores import s3

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "infra" / "s3" / "rgw.sh"
BUCKET = "benchmarks"


@contextmanager
def bucket() -> Iterator[str]:
    """An empty folder of a bucket on a real server; its address."""
    home, port = Path(os.environ.get("STENOPOOL_RGW", ROOT / ".rgw")), os.environ.get("RGW_PORT", "8087")
    if not (home / "programs").is_dir():
        print(f"no Ceph gateway in {home} ({SCRIPT.name} install): a local folder takes its place", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            yield folder
        return
    ours = not _answers(int(port))
    if ours:
        subprocess.run([SCRIPT, "start", home], check=True, stdout=subprocess.DEVNULL)
    key, secret = os.environ.get("RGW_KEY", "test"), os.environ.get("RGW_SECRET", "testtest")
    told = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    os.environ.update(told | {"AWS_DEFAULT_REGION": "us-east-1"})
    if not s3.file_system().exists(BUCKET):
        s3.file_system().call_s3("create_bucket", Bucket=BUCKET)
    try:
        yield f"s3://{BUCKET}/{uuid4().hex}"
    finally:
        if ours:
            subprocess.run([SCRIPT, "stop", home], check=True)


def _answers(port: int) -> bool:
    with socket.socket() as knock:
        knock.settimeout(1)
        return knock.connect_ex(("127.0.0.1", port)) == 0
