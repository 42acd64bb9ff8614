"""Check manifests against the definitions of a real cluster, which its users hand in."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from jsonschema import Draft202012Validator

from infra.documents import Document, against, at, mapping, mappings, title
from infra.render import Json, ValuesError, read


def crd_problems(documents: Iterable[Document], crds: Sequence[Path]) -> list[str]:
    """What the definitions have against the documents that they define; `ValuesError` of a file that holds none."""
    known = {kind: crd for path in crds for kind, crd in _definitions(path).items()}
    found = []
    for document in documents:
        if crd := known.get(str(document["kind"])):
            served = {str(version["name"]): version for version in mappings(at(crd, "spec.versions"))}
            version = served.get(str(document["apiVersion"]).rpartition("/")[2])
            if version is None:
                found.append(f"{title(document)}: the CRD knows {', '.join(served)}, and not this version")
                continue
            schema = Draft202012Validator(_closed(at(version, "schema.openAPIV3Schema")))
            found += [f"{title(document)}: {said}" for said in against(schema, document)]
    return found


def _definitions(path: Path) -> dict[str, Document]:
    """Those of a file, by the kind that they define."""
    found = {str(kind): crd for crd in mappings(read(path)) if (kind := at(crd, "spec.names.kind"))}
    if not found:
        raise ValuesError([f"{path}: it defines no kind, as `kubectl get crd rayjobs.ray.io -o yaml` does"])
    return found


def _closed(schema: Json) -> Document:
    """A CRD's schema that refuses what it does not list, as a server does with strict field validation."""
    closed = {name: _fields(value) if name == "properties" else _each(value) for name, value in mapping(schema).items()}
    properties = mapping(closed.get("properties"))
    closed.pop("format", None)  # int32 and its like
    open_on_purpose = closed.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in closed
    if properties and not open_on_purpose:
        closed["additionalProperties"] = False
    if {"kind", "apiVersion", "metadata"} <= set(properties):
        closed["properties"] = {**properties, "metadata": {}}  # a server knows it without being told
    return closed


def _fields(value: Json) -> Json:
    return {name: _closed(field) for name, field in mapping(value).items()}


def _each(value: Json) -> Json:
    if isinstance(value, dict):
        return _closed(value)
    return [_each(each) for each in value] if isinstance(value, list) else value
