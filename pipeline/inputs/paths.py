"""Where a name in an input points, and whether it may.

A manifest is data from elsewhere: what it names must lie under the manifest's own folder, or under a folder that
the user named.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from pipeline.schema import Failure
from pipeline.storage import Entry, StoreError, list_entries, parse, uri
from pipeline.stores.errors import NOT_FOUND

RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}|_OP_(\d+)\.\.(\d+)_CL_")
"""`{000..127}`, as shells spell it, and as NeMo does."""


def expanded(pattern: str) -> Iterator[str]:
    """Yield the names that a numbered pattern stands for; a name without a range is itself."""
    found = RANGE.search(pattern)
    if found is None:
        yield pattern
        return
    first, last = (part for part in found.groups() if part is not None)
    step = 1 if int(first) <= int(last) else -1  # as shells count
    for number in range(int(first), int(last) + step, step):
        yield from expanded(f"{pattern[: found.start()]}{number:0{len(first)}d}{pattern[found.end() :]}")


def numbered(pattern: str) -> dict[int, str]:
    """The names that a pattern stands for, by their numbers; by their places where they have several."""
    found = RANGE.findall(pattern)
    first = int(found[0][0] or found[0][2]) if len(found) == 1 else 0
    return dict(enumerate(expanded(pattern), first))


def plain(written: str) -> str:
    """One spelling per place: as storage lists it, nothing after the last name. `StoreError` where it is not opened."""
    return uri(*parse(written)).rstrip("/") or "/"


def first_entry(place: str) -> Entry | None:
    """The object at a place, or the first below it; None where there is nothing."""
    try:
        return next(list_entries(place), None)
    except StoreError as error:
        if error.kind == NOT_FOUND:
            return None
        raise


def exists(place: str) -> bool:
    """Whether there is an object of exactly this name."""
    found = first_entry(place)
    return found is not None and found.uri == place


def folder_of(place: str) -> str:
    """The folder that the object lies in."""
    return place.rpartition("/")[0] or "/"


def name_of(place: str) -> str:
    """The last name of a path; the bucket's where there is no path."""
    return place.rstrip("/").rpartition("/")[2]


def within(place: str, root: str) -> str | None:
    """The path below the root, or None where it lies elsewhere."""
    below = root if root == "/" else f"{root}/"
    if place.startswith("file://") and not root.startswith("file://"):  # how storage spells a name that is not UTF-8
        below = f"file://{quote(below)}"
    return place[len(below) :] if place.startswith(below) else None


def resolve(written: str, folder: str, roots: Sequence[str] = ()) -> str | Failure:
    """Where a name that was found in `folder` points, or why it is not followed."""
    if not written.strip():
        return _refused("BadPath", "names no audio")
    if written.strip().startswith("|") or written.strip().endswith("|"):
        return _refused("PipedCommand", f"{written!r} is a command, and commands of an input are never run")
    if re.search(r"[\x00-\x1f]", written):
        return _refused("BadPath", f"{written!r} holds control characters")
    try:
        place = _joined(written, folder)
    except StoreError as error:
        return _refused("BadScheme", str(error))
    if any(within(place, root) is not None for root in (folder, *roots)):
        return place
    allowed = ", ".join(dict.fromkeys((folder, *roots)))
    return _refused("OutsideRoot", f"{written!r} lies outside {allowed}; if that is meant, name its folder in roots")


def _joined(written: str, folder: str) -> str:
    if "://" in written:
        scheme, path = parse(written)
        return uri(scheme, _normal(path)) if scheme else uri(scheme, path)
    scheme, mark, rest = folder.partition("://")
    if written.startswith("/"):
        return posixpath.normpath("/" + written.lstrip("/"))  # two slashes at the start it would keep
    if scheme == "file":  # how storage spells a folder whose name is not UTF-8
        return uri("", posixpath.normpath(f"{parse(folder)[1]}/{written}"))
    if mark:
        return f"{scheme}://{_normal(f'{rest}/{posixpath.normpath(written)}')}"
    return posixpath.normpath(f"{folder}/{written}")


def _normal(path: str) -> str:
    """A key of a bucket without dots. Two slashes are not one: between them is a part of the key, without a name."""
    kept: list[str] = []
    for part in path.strip("/").split("/"):
        if part == "..":
            kept = kept[:-1]
        elif part != ".":
            kept.append(part)
    return "/".join(kept)


def _refused(kind: str, message: str) -> Failure:
    return Failure(kind, "plan", message)
