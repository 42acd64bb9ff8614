"""What the policies that ship let a worker do with what the values name, decided as S3 decides it."""

import json
from fnmatch import fnmatchcase
from pathlib import Path
from string import Template

import pytest
import yaml

from infra.render import Json, read_values

FOLDER = Path(__file__).parents[2] / "infra" / "policies"
JOB = yaml.safe_load(str(read_values()["job"]))
WORKER = "arn:aws:iam::123456789012:role/steno"
READ, WRITE, DELETE, LIST = "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"


def place(address: str) -> tuple[str, str]:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key


def statements(policy: str, **places: str) -> list[dict[str, Json]]:
    filled = Template((FOLDER / policy).read_text()).substitute(places, principal=WORKER)
    return list(json.loads(filled)["Statement"])


def policies() -> dict[str, list[dict[str, Json]]]:
    """Each bucket that the values name, with its policy."""
    ((corpus, inputs),) = map(place, JOB["inputs"])
    bucket, output = place(JOB["output"])
    models, model = place(JOB["model"])
    assert corpus == bucket != models, "a bucket has one policy"
    return {
        bucket: statements("bucket.json", bucket=bucket, inputs=inputs, output=output),
        models: statements("model.json", bucket=models, model=model),
    }


def may(action: str, address: str) -> bool:
    """What is not allowed is denied, and what is denied is not allowed by anything else."""
    bucket, key = place(address)
    thing = f"arn:aws:s3:::{bucket}/{key}".rstrip("/")
    found = [each for each in policies()[bucket] if action in each["Action"]]
    said = {str(each["Effect"]) for each in found if any(fnmatchcase(thing, like) for like in each["Resource"])}
    return said == {"Allow"}


@pytest.mark.parametrize(
    ("option", "name", "allowed"),
    [
        ("inputs", "a/1.flac", {READ}),
        ("output", "transcripts/1.parquet", {READ, WRITE}),
        ("model", "config.json", {READ}),
    ],
)
def test_what_the_values_name_may_be_used_and_no_more(option: str, name: str, allowed: set[str]) -> None:
    (folder,) = JOB[option] if option == "inputs" else [JOB[option]]
    assert {action for action in (READ, WRITE, DELETE) if may(action, f"{folder}/{name}")} == allowed
    assert not may(READ, f"{folder}-of-others/{name}")
    assert may(LIST, f"s3://{place(folder)[0]}")


def test_a_policy_speaks_of_its_own_bucket() -> None:
    for bucket, policy in policies().items():
        for thing in (thing for each in policy for thing in each["Resource"]):
            assert thing.split("/")[0] == f"arn:aws:s3:::{bucket}", "S3 would refuse it"


def test_the_policies_allow_four_things_and_no_more() -> None:
    found = [each for policy in policies().values() for each in policy if each["Effect"] == "Allow"]
    assert {action for each in found for action in each["Action"]} == {LIST, READ, WRITE, "s3:GetBucketLocation"}
