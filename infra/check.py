"""Check manifests without a cluster: by strict schemas, what schemas cannot say, and what `steno` says of commands."""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, FormatChecker

from infra.commands import GPU, MOUNTED, command_problems
from infra.documents import Document, against, at, holding, mapping, mappings, number, title
from infra.times import is_cron, is_once_a_day, is_zone

SCHEMAS = Path(__file__).parent / "schemas.yaml"
DRAIN = re.compile(r"ray drain-node\b.*--deadline-remaining-seconds (\d+)")
NIGHT = 86_400
"""Seconds between two starts of a schedule, at least."""
formats = FormatChecker()
formats.checks("cron")(is_cron)
formats.checks("timeZone")(is_zone)


def problems(documents: Iterable[Document]) -> list[str]:
    """What is wrong with a file of manifests, a sentence each."""
    together = list(documents)
    there, options = _names(together), _options(together)
    return [
        f"{where}{title(document)}: {said}"
        for where, document in _with_carried(together)
        for said in (*_document(document), *_references(document, there), *_commands(document, options))
    ]


def _with_carried(documents: Iterable[Document]) -> Iterator[tuple[str, Document]]:
    """Each document, and those that a ConfigMap carries as text, with where that is."""
    for document in documents:
        yield "", document
        for name, text in _texts(document):
            with suppress(yaml.YAMLError):
                inner = yaml.safe_load(text)
                if isinstance(inner, dict) and "kind" in inner:
                    yield f"{title(document)}, {name}: ", inner


def _document(document: Document) -> Iterator[str]:
    schemas = _schemas()
    kind = str(document.get("kind"))
    if not kind[:1].isupper() or kind not in mapping(schemas["$defs"]):
        yield "no such kind is known here"
        return
    schema = Draft202012Validator({**schemas, "$ref": f"#/$defs/{kind}"}, format_checker=formats)
    yield from against(schema, document)
    for cluster in holding(document, "workerGroupSpecs"):
        yield from _bounds(cluster)
    yield from _unreadable(document)
    yield from _starts(mapping(document.get("spec")))


def _unreadable(document: Document) -> Iterator[str]:
    for name, text in _texts(document):
        try:
            yaml.safe_load(text)
        except yaml.YAMLError as error:
            yield f"{name} is not YAML: {error}"


def _starts(spec: Document) -> Iterator[str]:
    """A schedule whose other starts would do nothing, nights without time, and records gone before theirs is over."""
    schedule = spec.get("schedule")
    if is_cron(schedule) and not is_once_a_day(schedule):
        yield f"schedule {schedule!r}: a date is done once, so minute and hour must be numbers, as in 30 2 * * *"
    late, has = (
        number(at(spec, name)) for name in ("startingDeadlineSeconds", "jobTemplate.spec.activeDeadlineSeconds")
    )
    if has and has <= late:
        yield f"a night has {has} s from when it is due, and may begin {late} s after that"
    kept = number(at(spec, "jobTemplate.spec.ttlSecondsAfterFinished"))
    for limit in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        if limit in spec and number(spec[limit]) * NIGHT < kept:
            yield f"{limit} is {spec[limit]}: of a night each, they would be gone before {kept} s are over"


@cache
def _schemas() -> Document:
    return dict(yaml.safe_load(SCHEMAS.read_text()))


def _bounds(cluster: Document) -> Iterator[str]:
    """What a schema cannot compare."""
    for group in mappings(cluster["workerGroupSpecs"]):
        least, now, most = (number(group.get(name)) for name in ("minReplicas", "replicas", "maxReplicas"))
        if not least <= now <= most:
            yield f"group {group.get('groupName')}: {least} to {most} workers cannot begin with {now}"
        grace = number(at(group, "template.spec.terminationGracePeriodSeconds"))
        for container in mappings(at(group, "template.spec.containers")):
            yield from (f"group {group.get('groupName')}: {said}" for said in _worker(container, grace))


def _worker(container: Document, grace: int) -> Iterator[str]:
    if mapping(at(container, "resources.requests")).get(GPU) != mapping(at(container, "resources.limits")).get(GPU):
        yield "GPUs must be requested as they are limited"
    command = at(container, "lifecycle.preStop.exec.command")
    notice = DRAIN.search(" ".join(map(str, command)) if isinstance(command, list) else "")
    if not notice:
        yield "preStop must drain the node, with a deadline"
    elif int(notice[1]) >= grace:
        yield f"the drain lasts {notice[1]} s, and the pod is killed after {grace}"


def _references(document: Document, there: Collection[str]) -> Iterator[str]:
    """A volume whose ConfigMap is not in the file would keep its pod waiting for ever."""
    for volume in (volume for pod in holding(document, "volumes") for volume in mappings(pod["volumes"])):
        if (name := str(at(volume, "configMap.name"))) not in there:
            yield f"there is no ConfigMap {name} in this file"


def _commands(document: Document, options: str | None) -> Iterator[str]:
    """What `steno` says of the commands, where their options are in the file."""
    if options is not None:
        for job in holding(document, "entrypoint"):
            yield from command_problems(job, options)


def _names(documents: Iterable[Document]) -> set[str]:
    """Of the ConfigMaps."""
    return {str(at(each, "metadata.name")) for each in documents if each.get("kind") == "ConfigMap"}


def _options(documents: Iterable[Document]) -> str | None:
    """The text that is mounted where commands look for their options."""
    return next((text for each in documents for name, text in _texts(each) if name == Path(MOUNTED).name), None)


def _texts(document: Document) -> Iterator[tuple[str, str]]:
    """What a ConfigMap holds, by name."""
    if document.get("kind") == "ConfigMap":
        yield from ((name, str(text)) for name, text in mapping(document.get("data")).items())
