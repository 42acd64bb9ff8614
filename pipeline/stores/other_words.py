"""What Google's and Azure's packages raise, in the user's words.

Their own errors are no `OSError`s. They are known by name, because the packages are extras: an error can only come out
of a module that is loaded.
"""

import sys
from collections.abc import Iterator, Mapping

from pipeline.stores import errors
from pipeline.stores.errors import StoreError

FOREIGN: Mapping[str, str] = {
    "google.auth.exceptions:GoogleAuthError": errors.CREDENTIALS,
    "azure.core.exceptions:ClientAuthenticationError": errors.CREDENTIALS,
    "azure.core.exceptions:ServiceRequestError": errors.UNREACHABLE,
    "aiohttp.client_exceptions:ClientConnectionError": errors.UNREACHABLE,
    "aiohttp.client_exceptions:ClientError": errors.BROKEN,
    "azure.core.exceptions:AzureError": errors.BROKEN,
    "gcsfs.retry:HttpError": errors.BROKEN,
    "gcsfs.retry:ChecksumError": errors.BROKEN,
    "gcsfs.retry:NonRetryableError": errors.BROKEN,
}
"""What they mean, the narrow ones before the wide ones."""
STATUSES: Mapping[str, str] = {"401": errors.CREDENTIALS, "403": errors.DENIED, "404": errors.NOT_FOUND}
ACCESS: Mapping[str, str] = {
    "gs": "credentials are found as Google's libraries find them: GOOGLE_APPLICATION_CREDENTIALS, or "
    "`gcloud auth application-default login`",
    "azure": "name the account in AZURE_STORAGE_ACCOUNT_NAME, with AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_ANON="
    "false for the credentials of the machine, or give AZURE_STORAGE_CONNECTION_STRING",
}
"""How each extra finds its credentials."""


def raised() -> tuple[type[Exception], ...]:
    """What may come out of them: Python's own errors, and theirs, of those that are loaded."""
    return OSError, ValueError, *(kind for kind, _ in _known())


def said(error: Exception, verb: str, uri: str, extra: str) -> StoreError:
    """What went wrong with an object."""
    kind = _kind(error)
    match kind:
        case errors.NOT_FOUND:
            return StoreError(kind, f"{uri}: no such object")
        case errors.DENIED:
            return StoreError(kind, f"permission denied to {verb} {uri}: {_line(error)}")
        case errors.CREDENTIALS:
            return refused(error, uri, extra)
    return StoreError(kind, f"could not {verb} {uri}: {_line(error)}")


def refused(error: Exception, uri: str, extra: str) -> StoreError:
    """Why nothing can be opened there, and what to set."""
    return StoreError(errors.CREDENTIALS, f"{uri} cannot be opened ({_line(error)}): {ACCESS.get(extra, 'look there')}")


def _kind(error: Exception) -> str:
    status = str(getattr(error, "code", None) or getattr(error, "status_code", None))
    if status in STATUSES:
        return STATUSES[status]
    if isinstance(error, FileNotFoundError):
        return errors.NOT_FOUND
    if isinstance(error, PermissionError) or str(error).startswith("Forbidden"):  # gcsfs has no other word for it
        return errors.DENIED
    if isinstance(error, ConnectionError | TimeoutError):
        return errors.UNREACHABLE
    return next((kind for known, kind in _known() if isinstance(error, known)), errors.BROKEN)


def _known() -> Iterator[tuple[type[Exception], str]]:
    for name, kind in FOREIGN.items():
        module, _, attribute = name.partition(":")
        found = getattr(sys.modules.get(module), attribute, None)
        if isinstance(found, type) and issubclass(found, Exception):
            yield found, kind


def _line(error: Exception) -> str:
    """Its first line: Azure's go on with the answer as it came."""
    return (str(error).splitlines() or [type(error).__name__])[0]
