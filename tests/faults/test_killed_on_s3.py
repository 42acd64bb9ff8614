"""A commit to a bucket that is killed at any of its steps leaves the whole object or none, and can be made again."""

import subprocess
import sys
import time

import pytest

from pipeline.commit import AlreadyThere, Committed, commit, read_footer
from pipeline.output import done, transcript_name
from pipeline.storage import Store
from tests.pipeline.rows import STAMP, census, rows

KILLED = """
import os, signal, socket, sys, time
from urllib.parse import urlsplit
from pipeline import commit as committing
from pipeline.commit import commit
from pipeline.storage import Store
from pipeline.stores import s3, s3_quick
from tests.pipeline.rows import STAMP, census, rows

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def kill_at(owner, name, after):
    step = getattr(owner, name)
    setattr(owner, name, lambda *args: die(step(*args)) if after else die())

def send(share):
    def put(self, path, payload, condition, mark):
        bucket, _, key = path.partition("/")
        signed = s3_quick.made().signer.generate_presigned_url("put_object", {"Bucket": bucket, "Key": key}, 300)
        url = urlsplit(signed)
        lines = [f"PUT {url.path}?{url.query} HTTP/1.1", f"Host: {url.netloc}", "If-None-Match: *"]
        head = "\\r\\n".join([*lines, f"Content-Length: {len(payload)}", "", ""])
        wire = socket.create_connection((url.hostname, url.port))
        wire.sendall(head.encode() + payload[: int(share * len(payload))])
        time.sleep(0.5)
        die()
    s3.Bucket._write = put

owners = {"commit": committing, "bucket": s3.Bucket}
table = rows(census(30))
for step in sys.argv[2:]:
    child = os.fork()
    if child == 0:
        owner, name, when = step.split(".")
        if name == "sent":
            send({"half": 0.5, "whole": 1.0}[when])
        else:
            kill_at(owners[owner], name, when == "after")
        commit(Store(f"{sys.argv[1]}/{step}"), "a/1", table, census(30), STAMP)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, step
"""
BEFORE_IT_EXISTS = [
    "commit.balance.before",
    "commit.serialise.before",
    "commit.serialise.after",
    "bucket.create.before",
    "bucket._write.before",
    "bucket.sent.half",
]
AFTER_IT_EXISTS = ["bucket.sent.whole", "bucket._write.after", "bucket.create.after"]


@pytest.mark.parametrize("server", ["moto_s3", pytest.param("rgw", marks=pytest.mark.s3)])
def test_a_commit_to_a_bucket_that_is_killed_at_any_step_is_whole_or_not_there(
    server: str, request: pytest.FixtureRequest
) -> None:
    bucket = request.getfixturevalue(server)
    command = [sys.executable, "-c", KILLED, bucket, *BEFORE_IT_EXISTS, *AFTER_IT_EXISTS]
    subprocess.run(command, check=True, timeout=240)
    for step in BEFORE_IT_EXISTS + AFTER_IT_EXISTS:
        store = Store(f"{bucket}/{step}")
        expected = [] if step in BEFORE_IT_EXISTS else ["a/1"]
        assert arrived(store, expected) == expected, step
        assert all(read_footer(store, shard).rows == 30 for shard in expected)
        again = commit(store, "a/1", rows(census(30)), census(30), STAMP)
        assert isinstance(again, AlreadyThere if expected else Committed), step
        assert [entry.uri for entry in store.names()] == [transcript_name("a/1")], step
        assert read_footer(store, "a/1").rows == 30


def arrived(store: Store, expected: list[str]) -> list[str]:
    """The shards that are there, once a server has had time to end what its client did not wait for."""
    until = time.monotonic() + 20
    while (found := list(done(store))) != expected and time.monotonic() < until:
        time.sleep(0.1)
    return found
