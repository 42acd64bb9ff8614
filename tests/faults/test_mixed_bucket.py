"""A run over a bucket of mixed formats with twenty poisoned files, on a real S3 server, as a person types it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping

import pytest

from jobs.cli import main
from jobs.exits import FAILED_ROWS, FINE
from pipeline.storage import Store
from pipeline.stores import s3
from tests.faults.mixed import FORMS, HARMLESS, LINES, LOOSE, poison, whole
from tests.faults.runs import failures, rows, start

pytestmark = [pytest.mark.ray, pytest.mark.s3, pytest.mark.slow]
TAILS = {"tail@0": "Truncated", "tail@41984": "Truncated"}
"""Of the tars: one is empty, one is torn."""
DENY = {"Effect": "Deny", "Principal": "*", "Action": ["s3:GetObject"]}


@pytest.fixture
def denied(rgw: str) -> Iterator[str]:
    """A folder of the bucket in which one object may not be read."""
    bucket = rgw.removeprefix("s3://").partition("/")[0]
    resource = f"arn:aws:s3:::{rgw.removeprefix('s3://')}/poisoned/manifest/audio/denied.opus"
    policy = json.dumps({"Version": "2012-10-17", "Statement": [{**DENY, "Resource": [resource]}]})
    s3.file_system().call_s3("put_bucket_policy", Bucket=bucket, Policy=policy)
    yield rgw
    s3.file_system().call_s3("delete_bucket_policy", Bucket=bucket)


def put(folder: str, files: Mapping[str, bytes]) -> list[str]:
    """Upload a corpus; its inputs."""
    store = Store(folder)
    for name, content in files.items():
        store.put(name, content)
    return [f"{folder}/{form}" for form in FORMS]


def test_twenty_poisoned_files_cost_twenty_rows_and_nothing_else(
    denied: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--shard-size", 16)
    clean = start(put(f"{denied}/clean", whole()), f"{denied}/clean-out", *words).end()
    assert clean.code == FINE, clean.err
    ran = start(put(f"{denied}/poisoned", whole() | poison()), f"{denied}/out", *words).end()
    assert ran.code == FAILED_ROWS, ran.err
    assert all(line.startswith("steno: ") for line in ran.err.splitlines()), ran.err
    before, after = (rows(f"{denied}/{output}") for output in ("clean-out", "out"))

    failed = failures(after)
    expected = {f"poison-{name}": kind for name, (_, kind) in LOOSE.items()}
    assert {name: failed.pop(name) for name in expected} == expected
    assert {name: failed.pop(name) for name in TAILS} == TAILS
    assert sorted(failed.values()) == sorted(kind for _, kind in LINES.values())
    said = ran.said()
    assert said["counts"] == said["table"]["counts"] == dict(Counter(row["status"] for row in after)) | {"skipped": 0}  # type: ignore[index]

    known = {str(row["recording_id"]): row for row in after}
    for row in before:
        assert known[str(row["recording_id"])] == row | {"uri": str(row["uri"]).replace("/clean/", "/poisoned/")}
    added = known.keys() - {str(row["recording_id"]) for row in before}
    assert {known[name]["status"] for name in HARMLESS} <= {"ok", "empty"}
    assert len(added) == 20 + len(HARMLESS) + 3 + 1 + 1  # and of the torn tar what came before, an odd name, a double
    assert main(["verify", f"{denied}/out"]) == FINE, capsys.readouterr().out
