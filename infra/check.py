"""Check manifests without a cluster: strict schemas, what schemas cannot say, and Ray's own check of `ray up`."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from zoneinfo import available_timezones

import yaml
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config

from infra.render import Json

SCHEMAS = Path(__file__).parent / "schemas.yaml"
CRON = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
"""Least and largest of minute, hour, day, month and weekday. Kubernetes knows no weekday 7."""
ZONES = available_timezones() - {"localtime"}
"""Names that say the same on every machine."""
FIELD = re.compile(r"(\*|(\d+)(-(\d+))?)(/(\d+))?")
GPU = "nvidia.com/gpu"
DRAIN = re.compile(r"ray drain-node\b.*--deadline-remaining-seconds (\d+)")
METRICS = "--metrics-export-port="
IMAGE_ID = re.compile(r"ami-[0-9a-f]{8,17}")
formats = FormatChecker()
Document = dict[str, Json]


def problems(documents: Iterable[Document]) -> list[str]:
    """What is wrong with a file of manifests, a sentence each."""
    together = list(documents)
    return [said for document in together for said in _document(document)] + list(_references(together))


def crd_problems(documents: Iterable[Document], crds: Sequence[Path]) -> list[str]:
    """What the definitions of a real cluster have against the documents that they define."""
    known = {crd["spec"]["names"]["kind"]: crd for path in crds for crd in yaml.safe_load_all(path.read_text()) if crd}
    found = []
    for document in documents:
        if crd := known.get(document["kind"]):
            served = {version["name"]: version for version in crd["spec"]["versions"]}
            version = served.get(str(document["apiVersion"]).rpartition("/")[2])
            if version is None:
                found.append(f"{_title(document)}: the CRD knows {', '.join(served)}, and not this version")
                continue
            found += _against(_closed(version["schema"]["openAPIV3Schema"]), document)
    return found


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
        for line in _lines(config.get(name))
        if "ray start" in line
    ]
    found += [
        f"ray-up.yaml: without RAY_AUTH_MODE=token: {line}" for line in starts if "RAY_AUTH_MODE=token" not in line
    ]
    found += [f"ray-up.yaml: usage is reported: {line}" for line in starts if "--disable-usage-stats" not in line]
    found += [f"ray-up.yaml: metrics at a port of chance: {line}" for line in starts if METRICS not in line]
    if any("--head" in line and "--dashboard-host=127.0.0.1" not in line for line in starts):
        found.append("ray-up.yaml: the dashboard must listen on 127.0.0.1 alone")
    if not any(str(name).endswith(".ray/auth_token") for name in _dict(config.get("file_mounts"))):
        found.append("ray-up.yaml: file_mounts lack .ray/auth_token: the nodes would have no token")
    return found + list(_gpus(config)) + list(_profiles(config))


def _gpus(config: Document) -> Iterator[str]:
    """What a worker with a GPU needs to see it, which Ray does not ask for."""
    for name, kind in _dict(config.get("available_node_types")).items():
        if not IMAGE_ID.fullmatch(str(_at(kind, "node_config.ImageId"))):
            yield f"ray-up.yaml: {name} has no ImageId such as ami-0123456789abcdef0: Ray's own choice is years old"
    options = " ".join(_lines(_dict(config.get("docker")).get("run_options")))
    if "NVIDIA_VISIBLE_DEVICES=" not in options:
        yield "ray-up.yaml: docker's run_options set no NVIDIA_VISIBLE_DEVICES: containers would see no GPU"


def _profiles(config: Document) -> Iterator[str]:
    """Who may start and end machines: the head, and no worker."""
    kinds = _dict(config.get("available_node_types"))
    profiles = {name: _at(kind, "node_config.IamInstanceProfile") for name, kind in kinds.items()}
    head = profiles.pop(str(config.get("head_node_type")), None)
    if not head:
        yield "ray-up.yaml: the head has no IamInstanceProfile: Ray would make one for all of EC2 and every bucket"
    for name, profile in profiles.items():
        if profile and profile == head:
            yield f"ray-up.yaml: {name} has the head's IamInstanceProfile: it could start and end machines"


def _lines(value: Json) -> list[str]:
    return [str(line) for line in value] if isinstance(value, list) else []


@formats.checks("cron")  # type: ignore[untyped-decorator]
def is_cron(text: object) -> bool:
    """Whether Kubernetes understands it as a time: five fields of numbers, ranges, lists and steps."""
    fields = str(text).split()
    return len(fields) == len(CRON) and all(
        all(_within(part, *bounds) for part in field.split(",")) for field, bounds in zip(fields, CRON, strict=True)
    )


@formats.checks("timeZone")  # type: ignore[untyped-decorator]
def is_zone(text: object) -> bool:
    """Whether Kubernetes understands it as a time zone: the name of one, and neither `Local` nor nothing."""
    return str(text) in ZONES


def _within(part: str, least: int, largest: int) -> bool:
    found = FIELD.fullmatch(part)
    if not found:
        return False
    first, last, step = (int(found[i]) if found[i] else None for i in (2, 4, 6))
    numbers = [number for number in (first, last) if number is not None]
    in_order = first is None or last is None or first <= last
    return in_order and step != 0 and all(least <= number <= largest for number in numbers)


def _document(document: Document) -> Iterator[str]:
    schemas = _schemas()
    kind = str(document.get("kind"))
    if not kind[:1].isupper() or kind not in _dict(schemas["$defs"]):
        yield f"{_title(document)}: no such kind is known here"
        return
    yield from _against({**schemas, "$ref": f"#/$defs/{kind}"}, document)
    yield from (
        f"{_title(document)}: {said}" for cluster in _found(document, "workerGroupSpecs") for said in _bounds(cluster)
    )
    if kind == "ConfigMap":
        for name, text in _dict(document.get("data")).items():
            inner = yaml.safe_load(str(text))
            if isinstance(inner, dict) and "kind" in inner:
                yield from (f"{_title(document)}, {name}: {said}" for said in _document(inner))


@cache
def _schemas() -> Document:
    return dict(yaml.safe_load(SCHEMAS.read_text()))


def _against(schema: Document, document: Document) -> list[str]:
    errors = Draft202012Validator(schema, format_checker=formats).iter_errors(document)
    return [f"{_title(document)}: {error.json_path.removeprefix('$.')}: {error.message}" for error in errors]


def _bounds(cluster: Document) -> Iterator[str]:
    """What a schema cannot compare."""
    for group in _list(cluster["workerGroupSpecs"]):
        least, now, most = (_number(group.get(name)) for name in ("minReplicas", "replicas", "maxReplicas"))
        if not least <= now <= most:
            yield f"group {group.get('groupName')}: {least} to {most} workers cannot begin with {now}"
        grace = _number(_at(group, "template.spec.terminationGracePeriodSeconds"))
        for container in _list(_at(group, "template.spec.containers")):
            yield from (f"group {group.get('groupName')}: {said}" for said in _worker(container, grace))


def _worker(container: Document, grace: int) -> Iterator[str]:
    if _dict(_at(container, "resources.requests")).get(GPU) != _dict(_at(container, "resources.limits")).get(GPU):
        yield "GPUs must be requested as they are limited"
    command = _at(container, "lifecycle.preStop.exec.command")
    notice = DRAIN.search(" ".join(map(str, command)) if isinstance(command, list) else "")
    if not notice:
        yield "preStop must drain the node, with a deadline"
    elif int(notice[1]) >= grace:
        yield f"the drain lasts {notice[1]} s, and the pod is killed after {grace}"


def _references(documents: list[Document]) -> Iterator[str]:
    """A volume whose ConfigMap is not in the file would keep its pod waiting for ever."""
    there = {_dict(each["metadata"]).get("name") for each in documents if each.get("kind") == "ConfigMap"}
    for document in documents:
        for volume in (volume for pod in _found(document, "volumes") for volume in _list(pod["volumes"])):
            name = _at(volume, "configMap.name")
            if name not in there:
                yield f"{_title(document)}: there is no ConfigMap {name} in this file"


def _found(node: Json, name: str) -> Iterator[Document]:
    if isinstance(node, dict):
        if name in node:
            yield node
        for value in node.values():
            yield from _found(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from _found(value, name)


def _closed(schema: Json) -> Document:
    """A CRD's schema that refuses what it does not list, as a server does with strict field validation."""
    closed = {name: _fields(value) if name == "properties" else _each(value) for name, value in _dict(schema).items()}
    properties = _dict(closed.get("properties"))
    closed.pop("format", None)  # int32 and its like
    open_on_purpose = closed.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in closed
    if properties and not open_on_purpose:
        closed["additionalProperties"] = False
    if {"kind", "apiVersion", "metadata"} <= set(properties):
        closed["properties"] = {**properties, "metadata": {}}  # a server knows it without being told
    return closed


def _fields(value: Json) -> Json:
    return {name: _closed(field) for name, field in _dict(value).items()}


def _each(value: Json) -> Json:
    if isinstance(value, dict):
        return _closed(value)
    return [_each(each) for each in value] if isinstance(value, list) else value


def _title(document: Document) -> str:
    return f"{document.get('kind')} {_dict(document.get('metadata')).get('name')}"


def _at(node: Json, path: str) -> Json:
    for name in path.split("."):
        node = _dict(node).get(name)
    return node


def _number(value: Json) -> int:
    return value if isinstance(value, int) else 0


def _dict(value: Json) -> Document:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Document]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
