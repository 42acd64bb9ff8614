"""The manifests, checked offline; and mistakes in them, each of which must be found."""

import copy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from infra.check import problems
from infra.crds import crd_problems
from infra.ray_up import ray_up_problems
from infra.render import VALUES, Json, Rendered, read_values, render
from jobs.exits import HELD, UNUSABLE
from jobs.options import Incremental

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def rendered() -> Rendered:
    return render(read_values())


def test_every_manifest_that_ships_is_right(rendered: Rendered) -> None:
    for name, documents in rendered.kubernetes.items():
        assert problems(documents) == [], name
    assert ray_up_problems(rendered.ray_up) == []


def test_what_is_written_reads_back_as_it_was_checked(rendered: Rendered, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra", "--out", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    names = (*rendered.kubernetes, "ray-up.yaml", "job.yaml")
    assert ran.stdout.split() == [str(tmp_path / name) for name in names]
    assert yaml.safe_load((tmp_path / "ray-up.yaml").read_text()) == rendered.ray_up
    (config,) = [each for each in rendered.kubernetes[JOB] if each["kind"] == "ConfigMap"]
    assert (tmp_path / "job.yaml").read_text() == config["data"]["job.yaml"]
    for name, documents in rendered.kubernetes.items():
        assert list(yaml.safe_load_all((tmp_path / name).read_text())) == documents
        assert "${" not in (tmp_path / name).read_text()


def test_the_nightly_job_is_the_job_that_was_checked(rendered: Rendered) -> None:
    (config,) = [each for each in rendered.kubernetes["cronjob.yaml"] if each["metadata"]["name"] == "steno-nightly"][
        :1
    ]
    (job,) = [each for each in rendered.kubernetes["rayjob.yaml"] if each["kind"] == "RayJob"]
    assert yaml.safe_load(config["data"]["rayjob.yaml"]) == job
    (cron,) = [each for each in rendered.kubernetes["cronjob.yaml"] if each["kind"] == "CronJob"]
    pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    there = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    volumes = {volume["configMap"]["name"]: there[volume["name"]] for volume in pod["volumes"]}
    read = [f"{volumes['steno-nightly']}/rayjob.yaml", "--options", f"{volumes['steno-job']}/job.yaml"]
    zone = cron["spec"]["timeZone"]
    assert pod["containers"][0]["command"] == ["python", "-m", "infra.submit", *read, "--zone", zone]


def test_a_night_is_given_up_only_where_trying_again_is_no_use(rendered: Rendered) -> None:
    (cron,) = [each for each in rendered.kubernetes["cronjob.yaml"] if each["kind"] == "CronJob"]
    dropped, useless = cron["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert (dropped["action"], dropped["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert (useless["action"], useless["onExitCodes"]["values"]) == ("FailJob", [UNUSABLE, HELD])


def test_the_options_that_ship_are_options_of_the_command(rendered: Rendered) -> None:
    (config,) = [each for each in rendered.kubernetes["rayjob.yaml"] if each["metadata"]["name"] == "steno-job"]
    options = yaml.safe_load(config["data"]["job.yaml"])
    assert set(options) <= {field.name for field in fields(Incremental)}
    assert Incremental(**options).flaws() == []


def spoiled(document: Json, path: str, value: Json) -> Json:
    """A document with one value changed, or without it where the value is None."""
    found = copy.deepcopy(document)
    *way, last = [int(part) if part.isdigit() else part.replace("~", "/") for part in path.split("/")]
    node = found
    for part in way:
        node = node[part]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return found


CLUSTER, JOB, CRON = "raycluster.yaml", "rayjob.yaml", "cronjob.yaml"
WORKER = "spec/workerGroupSpecs/0"
POD = f"{WORKER}/template/spec"
BOX = f"{POD}/containers/0"
SUBMIT = "spec/jobTemplate/spec/template/spec/containers/0"
NIGHT = "steno incremental --config /etc/steno/job.yaml --date"
MISTAKES = [
    (CLUSTER, "spec/enableInTreeAutoscalling", True, "enableInTreeAutoscalling"),
    (CLUSTER, "spec/authOptions", None, "authOptions"),
    (CLUSTER, "spec/authOptions/mode", "disabled", "token"),
    (CLUSTER, "spec/authOptions/secretName", None, "secretName"),
    (CLUSTER, "spec/autoscalerOptions/securityContext", None, "securityContext"),
    (CLUSTER, "spec/rayVersion", "2.40.0", "rayVersion"),
    (CLUSTER, "spec/rayVersion", "2.64.0", "rayVersion"),
    (CLUSTER, "spec/headGroupSpec/serviceType", "LoadBalancer", "serviceType"),
    (CLUSTER, "spec/headGroupSpec/rayStartParams/disable-usage-stats", None, "disable-usage-stats"),
    (CLUSTER, f"{WORKER}/rayStartParams/disable-usage-stats", "false", "disable-usage-stats"),
    (CLUSTER, "spec/headGroupSpec/template/spec/containers/0/resources/limits", None, "limits"),
    (CLUSTER, f"{BOX}/resources", None, "resources"),
    (CLUSTER, f"{BOX}/resources/limits/memory", None, "memory"),
    (CLUSTER, f"{BOX}/resources/limits/memory", "32 GB", "32 GB"),
    (CLUSTER, f"{BOX}/resources/limits/nvidia.com~gpu", None, None),
    (CLUSTER, f"{BOX}/image", "registry.example.org/stenopool:latest", "latest"),
    (CLUSTER, f"{BOX}/image", "registry.example.org/stenopool", "image"),
    (CLUSTER, f"{BOX}/securityContext/runAsNonRoot", False, "runAsNonRoot"),
    (CLUSTER, f"{BOX}/securityContext", None, "securityContext"),
    (CLUSTER, f"{BOX}/lifecycle", None, "lifecycle"),
    (CLUSTER, f"{BOX}/lifecycle/preStop/exec/command", ["sleep", "60"], "drain"),
    (CLUSTER, f"{BOX}/env/0", {"name": "RAY_AUTH_TOKEN", "value": "f00"}, "RAY_AUTH_TOKEN"),
    (CLUSTER, f"{POD}/terminationGracePeriodSeconds", None, "terminationGracePeriodSeconds"),
    (CLUSTER, f"{POD}/terminationGracePeriodSeconds", 60, "killed after 60"),
    (CLUSTER, f"{POD}/restartPolicy", "Always", "restartPolicy"),
    (CLUSTER, f"{POD}/hostNetwork", True, "hostNetwork"),
    (CLUSTER, f"{POD}/automountServiceAccountToken", None, "automountServiceAccountToken"),
    (CLUSTER, f"{POD}/automountServiceAccountToken", True, "automountServiceAccountToken"),
    (JOB, "spec/submitterPodTemplate/spec/automountServiceAccountToken", None, "automountServiceAccountToken"),
    (CLUSTER, f"{POD}/volumes/0/configMap/name", "steno-jobs", "steno-jobs"),
    (CLUSTER, f"{WORKER}/minReplicas", 9, "cannot begin"),
    (CLUSTER, f"{WORKER}/maxReplicas", "8", "maxReplicas"),
    (CLUSTER, "metadata/name", "Steno_Cluster", "Steno_Cluster"),
    (CLUSTER, "metadata/name", "1steno", "1steno"),
    (JOB, "metadata/name", "1steno", "1steno"),
    ("raycronjob.yaml", "metadata/name", "1steno", "1steno"),
    (CLUSTER, "apiVersion", "ray.io/v1alpha1", "apiVersion"),
    (CLUSTER, "kind", "RayKluster", "RayKluster"),
    (CLUSTER, "kind", "cluster", "no such kind"),
    (JOB, "spec/shutdownAfterJobFinishes", None, "shutdownAfterJobFinishes"),
    (JOB, "spec/ttlSecondsAfterFinished", None, "ttlSecondsAfterFinished"),
    (JOB, "spec/activeDeadlineSeconds", None, "activeDeadlineSeconds"),
    (JOB, "spec/backoffLimit", 3, "backoffLimit"),
    (JOB, "spec/submitterConfig/backoffLimit", 0, "less than the minimum"),
    (JOB, "spec/submitterConfig", None, "submitterConfig"),
    (JOB, "spec/entrypoint", "steno incremental --config /etc/steno/job.yaml", "does not match"),
    (JOB, "spec/entrypoint", "infra/schedules/nightly.sh", "does not match"),
    (JOB, "spec/entrypoint", f"{NIGHT} 2026-13-01", "date is '2026-13-01'"),
    (JOB, "spec/entrypoint", f"{NIGHT} today --failed-OK", "Did you mean --failed-ok?"),
    (JOB, "spec/entrypoint", f"{NIGHT} today 'unclosed", "No closing quotation"),
    (JOB, "spec/rayClusterSpec/workerGroupSpecs/0/minReplicas", 0, "looks for GPUs when it begins"),
    (JOB, "metadata/name", "the-transcripts-of-the-harbour", "too long"),
    (JOB, "spec/rayClusterSpec/authOptions", None, "authOptions"),
    ("raycronjob.yaml", "spec/schedule", "30 25 * * *", "30 25"),
    ("raycronjob.yaml", "spec/concurrencyPolicy", "Forbid", "concurrencyPolicy"),
    ("raycronjob.yaml", "spec/jobTemplate/ttlSecondsAfterFinished", None, "ttlSecondsAfterFinished"),
    (CRON, "spec/concurrencyPolicy", "Allow", "Forbid"),
    (CRON, "spec/concurrencyPolicy", None, "concurrencyPolicy"),
    (CRON, "spec/schedule", "every night", "every night"),
    (CRON, "spec/schedule", "0 2 * * 7", "0 2 * * 7"),
    (CRON, "spec/schedule", "0 2,14 * * *", "a date is done once"),
    ("raycronjob.yaml", "spec/schedule", "*/30 2 * * *", "a date is done once"),
    (CRON, "spec/successfulJobsHistoryLimit", 3, "gone before 604800 s are over"),
    (CRON, "spec/jobTemplate/spec/activeDeadlineSeconds", 3600, "may begin 3600 s after that"),
    (CRON, "spec/jobTemplate/spec/podFailurePolicy/rules/0/onPodConditions", None, "not valid under any"),
    (CRON, "spec/timeZone", "local time", "timeZone"),
    (CRON, "spec/timeZone", "Mars/Olympus", "timeZone"),
    (CRON, "spec/startingDeadlineSeconds", None, "startingDeadlineSeconds"),
    (CRON, "spec/jobTemplate/spec/ttlSecondsAfterFinished", None, "ttlSecondsAfterFinished"),
    (CRON, "spec/jobTemplate/spec/podFailurePolicy", None, "podFailurePolicy"),
    (CRON, f"{SUBMIT}/resources/limits", None, "limits"),
    (CRON, f"{SUBMIT}/env/0/value", "steno-nightly", "valid under each"),
    (CRON, f"{SUBMIT}/env/0/valueFrom", {"secretKeyRef": {"name": "steno-token", "key": "auth_token"}}, "fieldRef"),
]


@pytest.mark.parametrize(("file", "path", "value", "said"), MISTAKES)
def test_a_mistake_is_found_and_named(rendered: Rendered, file: str, path: str, value: Json, said: str | None) -> None:
    *before, document = rendered.kubernetes[file]
    found = problems([*before, spoiled(document, path, value)])
    assert found, "nothing was said"
    assert said is None or any(said in problem for problem in found), found


def test_a_mistake_in_the_job_that_a_cronjob_carries_is_found(rendered: Rendered) -> None:
    documents = rendered.kubernetes[CRON]
    (at,) = [i for i, each in enumerate(documents) if "rayjob.yaml" in each.get("data", {})]
    job = spoiled(yaml.safe_load(documents[at]["data"]["rayjob.yaml"]), "spec/rayClusterSpec/authOptions", None)
    carried = [*documents[:at], spoiled(documents[at], "data/rayjob.yaml", yaml.safe_dump(job)), *documents[at + 1 :]]
    assert any("authOptions" in problem for problem in problems(carried))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("output:", "outptu:", "there is no option outptu; did you mean output?"),
        ("pool: 1-8", "pool: 8-1", "pool is '8-1'"),
        ("address: auto", "metrics_port: 0", "metrics_port is 0"),
        ("inputs: [s3://corpus/audio]", "inputs: [s3://corpus/audio", "job.yaml is not YAML"),
        ("model: s3://models/medasr", "", "needs"),
    ],
)
def test_a_mistake_in_the_options_of_the_command_is_found(
    rendered: Rendered, old: str, new: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(VALUES.read_text().replace(f"  {old}", f"  {new}"))
    for name, documents in render(read_values(tmp_path / "mine.yaml")).kubernetes.items():
        found = problems(documents)
        expected = name != CLUSTER or said.startswith("job.yaml")  # a cluster that stays has no command
        assert any(said in problem for problem in found) == expected, (name, found)


@pytest.mark.parametrize(
    "command",
    ["steno transcribe --config /opt/mine.yaml", f"{NIGHT} today --failed-ok && steno report s3://corpus/table"],
)
def test_a_command_that_cannot_be_read_here_is_left_alone(rendered: Rendered, command: str) -> None:
    *before, job = rendered.kubernetes[JOB]
    assert problems([*before, spoiled(job, "spec/entrypoint", command)]) == []


def test_an_account_that_may_delete_is_refused(rendered: Rendered) -> None:
    (role,) = [each for each in rendered.kubernetes[CRON] if each["kind"] == "Role"]
    assert any("delete" in problem for problem in problems([spoiled(role, "rules/0/verbs", ["create", "delete"])]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config: config.pop("head_node_type"), "head_node_type"),
        (lambda config: config.update(head_node_type="boss"), "head_node_type"),
        (lambda config: config.update(idle_timeout="5"), "idle_timeout"),
        (lambda config: config["available_node_types"]["gpu"].update(min_workers=99), "max_workers"),
        (lambda config: config["available_node_types"]["gpu"].pop("node_config"), "node_config"),
        (lambda config: config["docker"].pop("container_name"), "container & image name"),
        (lambda config: config.update(file_mounts={}), "auth_token"),
        (lambda config: config["docker"].update(run_options=["--shm-size=8g"]), "NVIDIA_VISIBLE_DEVICES"),
        (lambda config: config["provider"].update(region="us-east-1"), "eu-central-1a is no zone of us-east-1"),
        (lambda config: config["available_node_types"]["gpu"]["node_config"].pop("ImageId"), "gpu has no ImageId"),
        (
            lambda config: config["available_node_types"]["cpu"]["node_config"].update(
                config["available_node_types"]["head"]["node_config"]
            ),
            "cpu has the head's IamInstanceProfile",
        ),
        (
            lambda config: config["available_node_types"]["head"]["node_config"].pop("IamInstanceProfile"),
            "the head has no IamInstanceProfile",
        ),
        (lambda config: config.update(head_start_ray_commands=["ray start --head --port=6379"]), "RAY_AUTH_MODE"),
        (
            lambda config: config.update(
                head_start_ray_commands=[
                    "RAY_AUTH_MODE=token ray start --head --dashboard-host=0.0.0.0 --disable-usage-stats"
                ]
            ),
            "dashboard",
        ),
        (
            lambda config: config.update(worker_start_ray_commands=["RAY_AUTH_MODE=token ray start --address=head"]),
            "usage",
        ),
        (
            lambda config: config.update(
                worker_start_ray_commands=["RAY_AUTH_MODE=token ray start --address=head --disable-usage-stats"]
            ),
            "port of chance",
        ),
    ],
)
def test_a_mistake_for_ray_up_is_found(
    rendered: Rendered, change: Callable[[dict[str, Json]], None], said: str
) -> None:
    config = copy.deepcopy(rendered.ray_up)
    change(config)
    found = ray_up_problems(config)
    assert any(said in problem for problem in found), found


def test_gpu_workers_are_of_the_spot_market(rendered: Rendered) -> None:
    kinds = rendered.ray_up["available_node_types"]
    assert {name: "InstanceMarketOptions" in kind["node_config"] for name, kind in kinds.items()} == {
        "head": False,
        "gpu": True,
        "cpu": True,
    }


CRD = {
    "spec": {
        "names": {"kind": "RayCluster"},
        "versions": [
            {
                "name": "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "apiVersion": {"type": "string"},
                            "kind": {"type": "string"},
                            "metadata": {"type": "object"},
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "rayVersion": {"type": "string"},
                                    "format": {"type": "string"},
                                    "workerGroupSpecs": {"type": "array", "items": {"type": "object"}},
                                },
                            },
                        },
                    }
                },
            }
        ],
    }
}


def test_a_real_definition_refuses_what_it_does_not_know(rendered: Rendered, tmp_path: Path) -> None:
    (tmp_path / "crd.yaml").write_text(yaml.safe_dump(CRD))
    found = crd_problems(rendered.kubernetes[CLUSTER], [tmp_path / "crd.yaml"])
    assert any("authOptions" in problem for problem in found), found
    assert not any("metadata" in problem for problem in found)
    document = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "a"}, "spec": {"format": "x"}}
    assert crd_problems([document], [tmp_path / "crd.yaml"]) == []
    assert "this version" in crd_problems([document | {"apiVersion": "ray.io/v2"}], [tmp_path / "crd.yaml"])[0]
