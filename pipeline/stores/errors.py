"""What can go wrong with storage, in the user's words, and never with a secret in it.

Every message passes through `scrub`: an endpoint, a presigned address or an error body may carry credentials.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

NOT_FOUND, DENIED, CREDENTIALS, UNREACHABLE = "NotFound", "Denied", "Credentials", "Unreachable"
TRUNCATED, CHANGED, FULL, UNSUPPORTED, BROKEN = "Truncated", "Changed", "Full", "Unsupported", "StoreFailed"

LASTING = frozenset({NOT_FOUND, DENIED, TRUNCATED, UNSUPPORTED})
"""What is wrong with an object itself. Anything else is an outage: it says nothing about the object."""
PASSING = frozenset({UNREACHABLE, CHANGED, BROKEN})
"""What may be over a little later, without anybody's help."""

SECRETS = (
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "FSSPEC_S3_SECRET",
    "FSSPEC_S3_TOKEN",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_CLIENT_SECRET",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "RAY_AUTH_TOKEN",
)
"""Environment variables whose values are never repeated."""

USER = re.compile(r"(://)[^/\s@\"'<>]+@(?=[^/\s\"'<>])")
HEADER = re.compile(r"(?i)\b(authorization:\s*(?:\w+\s+)?|bearer\s+)[A-Za-z0-9._~+/=-]{8,}")
PARAMETER = re.compile(
    r"(?i)([?&;](?:x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|signature|sig"
    r"|awsaccesskeyid|googleaccessid|accountkey|sharedaccesssignature|(?:access_|auth_)?token|(?:api_?)?key|secret|password)=)"
    r"[^&;\s\"'<>]+"
)
KEY_ID = re.compile(r"\b(?:(?:AKIA|ASIA|AROA)[A-Z0-9]{12,}|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{16,})\b")
"""What is a credential by its own look: a key of AWS, a token of a hub."""
SHORTEST_SECRET = 6
"""Characters; a shorter value would black out ordinary words."""


class StoreError(Exception):
    """Storage did not do what was asked."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, scrub(message))

    @property
    def kind(self) -> str:
        """A word to group by: `NotFound`, `Denied`, `Credentials`, `Unreachable`, `Truncated`, `Changed`, `Full`."""
        return str(self.args[0])

    @property
    def lasting(self) -> bool:
        """Whether asking again would give the same answer."""
        return self.kind in LASTING

    @property
    def passing(self) -> bool:
        """Whether the same may work a little later, without anybody's help."""
        return self.kind in PASSING

    def __str__(self) -> str:
        return str(self.args[1])


@contextmanager
def reading(url: str) -> Iterator[None]:
    """While an opened file is read: what the operating system then refuses is an outage, and has a number.

    An `OSError` without one is a library's word for what is in the file, and damaged content names impossible places.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (None, errno.EINVAL):
            raise
        raise StoreError(BROKEN, f"{url}: {error.strerror}") from error


def scrubbed(value: object) -> object:
    """What is to be written as JSON, with credentials blacked out in each of its texts, also in keys.

    Done to the written JSON, that could take a backslash away, and a quote would end the text.
    """
    together = "\n".join(_texts(value))
    return value if scrub(together) == together else _scrubbed(value)


def _texts(value: object) -> Iterator[str]:
    """Every text in it."""
    if isinstance(value, dict):
        yield from map(str, value)
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from (part,) if isinstance(part, str) else _texts(part)
    else:
        yield str(value)


def _scrubbed(value: object) -> object:
    if isinstance(value, dict):
        return {_scrubbed(name): _scrubbed(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(part) for part in value]
    return value if value is None or isinstance(value, int | float) else scrub(str(value))


def scrub(text: str) -> str:
    """Black out credentials: in addresses, in signatures, and the values of the environment's secrets."""
    text = USER.sub(r"\1", text)
    text = PARAMETER.sub(r"\1***", text)
    text = HEADER.sub(r"\1***", text)
    text = KEY_ID.sub("***", text)
    for name in SECRETS:
        value = os.environ.get(name, "")
        if len(value) >= SHORTEST_SECRET:
            text = text.replace(value, "***")
    return text
