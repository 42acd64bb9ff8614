"""Whose fault it is that a recording cannot be had: its own, or its storage's.

An error tells what happened, and not to whom. So before a recording is blamed its storage is asked for something else:
what is gone is its own loss where its bucket or its input's folder still stands, and an odd answer is where others are
given.
"""

import os
import re
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache

from aiohttp import ClientError as WireError
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from pipeline.inputs.paths import folder_of, plain, within
from pipeline.storage import DISK, S3, StoreError, open_place, parse
from pipeline.stores import s3
from pipeline.stores.errors import UNREACHABLE
from pipeline.stores.s3_words import read_answer

PATTERN = re.compile(r"[*?\[{]")
"""Where the part of a name begins that may stand for several."""
OTHERS = 3
"""Objects that are asked for instead of one, at most."""


def roots(named: Sequence[str]) -> tuple[str, ...]:
    """The folders that recordings may lie in, of inputs and of folders that the user named."""
    begun = [part for name in named for part in (name.partition("*")[0], PATTERN.split(name)[0])]
    places = dict.fromkeys(plain(part) for part in begun if not part.endswith("://"))
    return tuple(dict.fromkeys([*places, *map(folder_of, places)]))


def gone(uri: str, known: Sequence[str]) -> str | None:
    """What would have to stand around an object, and does not: its bucket, or of the known roots one on its disk."""
    scheme, path = parse(uri)
    if scheme in S3:
        bucket = path.partition("/")[0]
        return None if _bucket_stands(bucket, int(time.monotonic())) else f"bucket {bucket}"
    if scheme not in DISK:
        return None
    return next((root for root in _above(uri, known) if not _holds_something(root)), None)


def gives_another(uri: str, planned: Sequence[str], known: Sequence[str]) -> bool:
    """Whether storage gives something of another object below the same roots: of the next, or of some from far away."""
    above = list(_above(uri, known))
    alike = [other for other in _others(uri, planned) if all(within(other, root) is not None for root in above)]
    for other in alike[:: len(alike) // OTHERS or 1][:OTHERS]:
        scheme, path = parse(other)
        try:
            open_place(scheme).part(path, 0, 1, None)
        except StoreError as error:
            if error.kind == UNREACHABLE:
                return False
        else:
            return True
    return False


def _above(uri: str, known: Sequence[str]) -> Iterator[str]:
    return (root for root in known if within(uri, root) is not None)


def _others(uri: str, planned: Sequence[str]) -> list[str]:
    """The others, those behind this one first."""
    own = next((at for at, each in enumerate(planned) if uri == each or uri.startswith(f"{each}#")), 0)
    return [*planned[own + 1 :], *planned[:own]]


def _holds_something(folder: str) -> bool:
    """Whether it is there and not empty, as the place is where a disk was mounted."""
    try:
        with os.scandir(parse(folder)[1]) as inside:
            return any(True for _ in inside)
    except PermissionError:
        return True
    except OSError:
        return False


@lru_cache(maxsize=64)
def _bucket_stands(name: str, second: int) -> bool:  # noqa: ARG001  # it is asked once a second at most
    """Whether the server does not say that it is gone."""
    try:
        s3.call_bucket("head_bucket", name, {})
    except (OSError, BotoCoreError, ClientError, WireError) as error:
        return read_answer(error).status != 404
    return True
