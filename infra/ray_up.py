"""Check a configuration for `ray up` without AWS: by Ray's own validation, and by what it does not ask."""

import re
from collections.abc import Iterator

from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config

from infra.documents import Document, at, lines, mapping

METRICS = "--metrics-export-port="
IMAGE_ID = re.compile(r"ami-[0-9a-f]{8,17}")


def ray_up_problems(config: Document) -> list[str]:
    """What Ray itself, and our rules, have against a configuration for `ray up`."""
    found = []
    try:
        validate_config(prepare_config(config))
    except (ValidationError, ValueError, KeyError, AssertionError) as error:  # each is how Ray says no
        found.append(f"ray-up.yaml: {error.message if isinstance(error, ValidationError) else error}")
    starts = [
        line
        for name in ("head_start_ray_commands", "worker_start_ray_commands")
        for line in lines(config.get(name))
        if "ray start" in line
    ]
    found += [
        f"ray-up.yaml: without RAY_AUTH_MODE=token: {line}" for line in starts if "RAY_AUTH_MODE=token" not in line
    ]
    found += [f"ray-up.yaml: usage is reported: {line}" for line in starts if "--disable-usage-stats" not in line]
    found += [f"ray-up.yaml: metrics at a port of chance: {line}" for line in starts if METRICS not in line]
    if any("--head" in line and "--dashboard-host=127.0.0.1" not in line for line in starts):
        found.append("ray-up.yaml: the dashboard must listen on 127.0.0.1 alone")
    if not any(str(name).endswith(".ray/auth_token") for name in mapping(config.get("file_mounts"))):
        found.append("ray-up.yaml: file_mounts lack .ray/auth_token: the nodes would have no token")
    return [*found, *_gpus(config), *_profiles(config), *_zones(config)]


def _gpus(config: Document) -> Iterator[str]:
    """What a worker with a GPU needs to see it, which Ray does not ask for."""
    for name, kind in mapping(config.get("available_node_types")).items():
        if not IMAGE_ID.fullmatch(str(at(kind, "node_config.ImageId"))):
            yield f"ray-up.yaml: {name} has no ImageId such as ami-0123456789abcdef0: Ray's own choice is years old"
    options = " ".join(lines(mapping(config.get("docker")).get("run_options")))
    if "NVIDIA_VISIBLE_DEVICES=" not in options:
        yield "ray-up.yaml: docker's run_options set no NVIDIA_VISIBLE_DEVICES: containers would see no GPU"


def _profiles(config: Document) -> Iterator[str]:
    """Who may start and end machines: the head, and no worker."""
    kinds = mapping(config.get("available_node_types"))
    profiles = {name: at(kind, "node_config.IamInstanceProfile") for name, kind in kinds.items()}
    head = profiles.pop(str(config.get("head_node_type")), None)
    if not head:
        yield "ray-up.yaml: the head has no IamInstanceProfile: Ray would make one for all of EC2 and every bucket"
    for name, profile in profiles.items():
        if profile and profile == head:
            yield f"ray-up.yaml: {name} has the head's IamInstanceProfile: it could start and end machines"


def _zones(config: Document) -> Iterator[str]:
    """Zones of another region, which AWS would not know."""
    region = str(at(config, "provider.region"))
    for zone in str(at(config, "provider.availability_zone")).split(","):
        if not re.fullmatch(rf"{re.escape(region)}(-[a-z]+-\d)?[a-z]", zone.strip()):
            yield f"ray-up.yaml: {zone.strip()} is no zone of {region}, as {region}a is"
