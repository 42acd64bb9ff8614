"""What the policies that ship let workers and heads do with what the values name, decided as AWS decides it."""

import json
from fnmatch import fnmatchcase
from pathlib import Path
from string import Template

import boto3
import pytest
import yaml
from moto import mock_aws
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

from infra.render import Json, read_values, render

FOLDER = Path(__file__).parents[2] / "infra" / "policies"
JOB = yaml.safe_load(str(read_values()["job"]))
ACCOUNT, REGION, CLUSTER = "123456789012", "eu-central-1", "steno"
WORKER = f"arn:aws:iam::{ACCOUNT}:role/steno"
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


RUN, TAG, END, PASS = "ec2:RunInstances", "ec2:CreateTags", "ec2:TerminateInstances", "iam:PassRole"
NODE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0123456789abcdef0"
ASKED, THERE = "aws:RequestTag/ray-cluster-name", "aws:ResourceTag/ray-cluster-name"


def of_the_head() -> list[dict[str, Json]]:
    return statements("head.json", region=REGION, account=ACCOUNT, cluster=CLUSTER, worker="steno")


@pytest.mark.parametrize(
    ("action", "thing", "of", "allowed"),
    [
        (RUN, NODE, {ASKED: CLUSTER}, True),
        (RUN, NODE, {ASKED: "another"}, False),
        (RUN, NODE, {}, False),
        (RUN, NODE.replace("instance/i", "subnet/subnet"), {}, True),
        (RUN, f"arn:aws:ec2:{REGION}::image/ami-0123456789abcdef0", {}, True),
        (RUN, NODE.replace("instance/i", "launch-template/lt"), {}, False),
        (TAG, NODE, {"ec2:CreateAction": "RunInstances"}, True),
        (TAG, NODE, {THERE: CLUSTER}, True),
        (TAG, NODE, {THERE: "another", ASKED: CLUSTER}, False),
        (END, NODE, {THERE: CLUSTER}, True),
        (END, NODE, {THERE: "another"}, False),
        (END, NODE, {}, False),
        (PASS, WORKER, {"iam:PassedToService": "ec2.amazonaws.com"}, True),
        (PASS, WORKER, {"iam:PassedToService": "lambda.amazonaws.com"}, False),
        (PASS, f"{WORKER}-head", {"iam:PassedToService": "ec2.amazonaws.com"}, False),
    ],
)
def test_the_head_starts_and_ends_nodes_of_its_cluster_alone(
    action: str, thing: str, of: dict[str, str], allowed: bool
) -> None:
    found = [
        each
        for each in of_the_head()
        if action in each["Action"]
        and any(fnmatchcase(thing, like) for like in each["Resource"])
        and each.get("Condition", {"StringEquals": {}})["StringEquals"].items() <= of.items()
    ]
    assert bool(found) == allowed
    assert {each["Effect"] for each in of_the_head()} == {"Allow"}


def test_the_head_may_do_what_rays_provider_asks_of_aws_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    config, asked = render(read_values()).ray_up, []
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing-secret")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        boto3.client("iam").create_instance_profile(InstanceProfileName="steno")
        (subnet, *_) = boto3.client("ec2", REGION).describe_subnets()["Subnets"]
        provider = AWSNodeProvider(config["provider"], config["cluster_name"])
        for resource in (provider.ec2, provider.ec2_fail_fast):
            resource.meta.client.meta.events.register(
                "provide-client-params.ec2", lambda params, model, **_: asked.append((model.name, params))
            )
        worker = config["available_node_types"]["gpu"]["node_config"] | {"SubnetIds": [subnet["SubnetId"]]}
        (node,) = provider.create_node(worker, {"ray-node-type": "worker"}, 1)
        assert provider.non_terminated_nodes({}) == [node]
        provider.set_node_tags(node, {"ray-node-status": "up-to-date"})
        provider.terminate_nodes([node])
    (started,) = [params for name, params in asked if name == "RunInstances"]
    (tagged,) = started["TagSpecifications"]
    assert tagged["ResourceType"] == "instance"
    assert {"Key": "ray-cluster-name", "Value": CLUSTER} in tagged["Tags"]
    allowed = {action for each in of_the_head() for action in each["Action"]}
    assert {f"ec2:{name}" for name, _ in asked} == allowed - {PASS}, "the head's autoscaler has learnt another way"
