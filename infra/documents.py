"""Manifests as they were read: whatever a file may hold, looked into without a fall."""

from collections.abc import Iterator

from jsonschema import Draft202012Validator

from infra.render import Json

Document = dict[str, Json]


def title(document: Document) -> str:
    """What a person knows it by."""
    return f"{document.get('kind')} {mapping(document.get('metadata')).get('name')}"


def against(schema: Draft202012Validator, document: Document) -> list[str]:
    """What a schema has against it, a sentence each."""
    return [f"{error.json_path.removeprefix('$.')}: {error.message}" for error in schema.iter_errors(document)]


def at(node: Json, path: str) -> Json:
    """The value at a dotted path; None where there is none."""
    for name in path.split("."):
        node = mapping(node).get(name)
    return node


def number(value: Json) -> int:
    """A whole number; 0 of anything else."""
    return value if isinstance(value, int) else 0


def mapping(value: Json) -> Document:
    """A mapping; an empty one of anything else."""
    return value if isinstance(value, dict) else {}


def mappings(value: Json) -> list[Document]:
    """The mappings of a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def lines(value: Json) -> list[str]:
    """The texts of a list."""
    return [str(line) for line in value] if isinstance(value, list) else []


def holding(node: Json, name: str) -> Iterator[Document]:
    """Every mapping of that key, at any depth."""
    if isinstance(node, dict):
        if name in node:
            yield node
        for value in node.values():
            yield from holding(value, name)
    elif isinstance(node, list):
        for value in node:
            yield from holding(value, name)
