"""A run needs no right to delete: the policies that ship, on a real S3 server, with a user who has nothing else."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from string import Template

import boto3
import pyarrow.parquet
import pytest
from botocore.exceptions import ClientError

from jobs.transcription import Transcribe, transcribe
from jobs.verifying import Verify, verify
from pipeline.storage import Store
from pipeline.stores import s3

pytestmark = [pytest.mark.s3, pytest.mark.ray, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
POLICIES = ROOT / "infra" / "policies"
DEMO = ROOT / "jobs" / "demo"
MODEL, MODELS = DEMO / "checkpoints" / "lasr", "models"
WORKER, SECRET = "worker-key", "worker-secret"
CLIPS = sorted((DEMO / "corpus" / "loose").glob("flac-0[0-2].flac"))


def script_home() -> Path:
    return Path(os.environ.get("STENOPOOL_RGW", ROOT / ".rgw"))


def client(endpoint: str, key: str, secret: str) -> object:
    return boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1"
    )


def policy(name: str, **places: str) -> str:
    return Template((POLICIES / name).read_text()).substitute(places, principal="arn:aws:iam:::user/worker")


@pytest.fixture
def corpus(rgw: str, rgw_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A folder with audio, and one of that name with a model in another bucket.

    From here on the environment is that of a worker who may do what is in POLICIES.
    """
    subprocess.run([ROOT / "infra" / "s3" / "rgw.sh", "user", script_home(), "worker", WORKER, SECRET], check=True)
    bucket, folder = rgw.removeprefix("s3://").split("/")
    owner = client(rgw_server, "test", "testtest")
    for clip in CLIPS:
        owner.put_object(Bucket=bucket, Key=f"{folder}/audio/{clip.name}", Body=clip.read_bytes())
    owner.put_object(Bucket=bucket, Key=f"{folder}/other", Body=b"of somebody else")
    owner.create_bucket(Bucket=MODELS)
    for file in MODEL.iterdir():
        owner.put_object(Bucket=MODELS, Key=f"{folder}/lasr/{file.name}", Body=file.read_bytes())
    owner.put_object(Bucket=MODELS, Key=f"{folder}/other/config.json", Body=b"{}")
    places = {"inputs": f"{folder}/audio", "output": f"{folder}/out"}
    owner.put_bucket_policy(Bucket=bucket, Policy=policy("bucket.json", bucket=bucket, **places))
    owner.put_bucket_policy(Bucket=MODELS, Policy=policy("model.json", bucket=MODELS, model=f"{folder}/lasr"))
    monkeypatch.setenv("STENOPOOL_CACHE", str(tmp_path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", WORKER)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    s3.made.cache_clear()
    yield rgw
    owner.delete_bucket_policy(Bucket=bucket)
    owner.delete_bucket_policy(Bucket=MODELS)


def refused(ask: object, **words: str) -> bool:
    try:
        ask(**words)
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDenied"
    return False


def test_a_run_without_the_right_to_delete_is_whole(corpus: str, rgw_server: str) -> None:
    bucket, folder = corpus.removeprefix("s3://").split("/")
    report = transcribe(Transcribe((f"{corpus}/audio",), f"{corpus}/out", f"s3://{MODELS}/{folder}/lasr", cpus=2))
    assert report.counts["ok"] == len(CLIPS) == 3
    assert verify(Verify(f"{corpus}/out")).whole
    worker = client(rgw_server, WORKER, SECRET)
    (table,) = [entry.uri for entry in Store(f"{corpus}/out").names("transcripts")]
    audio, mine = f"{folder}/audio/{CLIPS[0].name}", f"{folder}/out/{table}"
    assert refused(worker.delete_object, Bucket=bucket, Key=mine), "the worker deleted a table"
    assert refused(worker.delete_object, Bucket=bucket, Key=audio), "the worker deleted an input"
    assert refused(worker.put_object, Bucket=bucket, Key=audio, Body=""), "the worker overwrote an input"
    assert refused(worker.get_object, Bucket=bucket, Key=f"{folder}/other"), "the worker read elsewhere"
    config = {"Bucket": MODELS, "Key": f"{folder}/lasr/config.json"}
    assert refused(worker.put_object, **config, Body=""), "the worker overwrote the model"
    assert refused(worker.delete_object, **config), "the worker deleted of the model"
    assert refused(worker.get_object, Bucket=MODELS, Key=f"{folder}/other/config.json"), "the worker read another model"
    assert pyarrow.parquet.ParquetFile(Store(f"{corpus}/out").open(table)).metadata.num_rows == 3
