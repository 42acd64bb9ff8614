"""What an S3 server, or the way to it, says when it says no."""

from dataclasses import dataclass

from aiohttp import ClientError as WireError
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from botocore.exceptions import (
    ConnectionError as NoConnectionError,
)

from pipeline.stores import errors
from pipeline.stores.errors import StoreError

BUSY = {"SlowDown", "RequestTimeout", "IncompleteBody", "BadDigest", "OperationAborted", "ConditionalRequestConflict"}
"""Codes that a second try may not meet."""
CREDENTIALS = {
    "InvalidAccessKeyId": "the server does not know this access key",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key",
    "ExpiredToken": "the session token has expired",
    "InvalidToken": "the session token is not valid",
    "RequestTimeTooSkewed": "this machine's clock and the server's are too far apart",
}
REGION = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301", "307"}


@dataclass(frozen=True)
class Answer:
    """A failure as far as it is known."""

    status: int
    """Of HTTP; 0 where no answer came."""
    code: str
    """The server's word for it, or the class of the error."""
    message: str
    """The server's sentence, or the error's."""
    lost: bool
    """The connection failed, or the answer broke off: the request may have been carried out."""
    cause: BaseException


def read_answer(error: Exception) -> Answer:
    """Take an error of s3fs apart: it hides the server's answer in the cause."""
    told = error if isinstance(error, ClientError) else error.__cause__
    if isinstance(told, ClientError):
        detail, reply = told.response.get("Error", {}), told.response.get("ResponseMetadata", {})
        code = str(detail.get("Code", ""))
        status = int(reply.get("HTTPStatusCode") or (code if code.isdigit() else 0))
        return Answer(status, code, str(detail.get("Message", "")), lost=False, cause=told)
    return Answer(0, type(error).__name__, str(error), lost=is_lost(error), cause=error)


def is_lost(error: Exception) -> bool:
    """Whether the wire failed rather than the request."""
    wire = (HTTPClientError, NoConnectionError, ResponseStreamingError, IncompleteReadError, WireError)
    return isinstance(error, (*wire, TimeoutError, ConnectionError))


def is_transient(answer: Answer) -> bool:
    """Whether asking again may help."""
    return answer.lost or answer.status >= 500 or answer.status in (409, 429) or answer.code in BUSY


def explain(answer: Answer, verb: str, path: str, endpoint: str) -> StoreError:
    """The user's words for it."""
    uri, bucket = f"s3://{path}", path.partition("/")[0]
    if isinstance(answer.cause, (NoCredentialsError, PartialCredentialsError)):
        kind, message = errors.CREDENTIALS, f"no credentials for {uri}: {HOW_TO_SIGN}"
    elif answer.code in CREDENTIALS:
        kind, message = errors.CREDENTIALS, f"{endpoint} refused the credentials: {CREDENTIALS[answer.code]}"
    elif answer.code == "NoSuchBucket":
        kind, message = errors.NOT_FOUND, f"no bucket {bucket!r} at {endpoint}"
    elif answer.code in REGION or answer.status in (301, 307):
        kind, message = errors.CREDENTIALS, f"{uri}: the bucket lies in another region (set AWS_DEFAULT_REGION)"
    elif answer.status == 404:
        kind, message = errors.NOT_FOUND, f"{uri}: no such object"
    elif answer.status in (401, 403):
        kind, message = errors.DENIED, f"permission denied to {verb} {uri} ({answer.code or answer.status})"
    elif answer.lost:
        kind, message = errors.UNREACHABLE, unreachable(answer, verb, uri, endpoint)
    else:
        said = " ".join(f"{answer.status or ''} {answer.code} {answer.message}".split())
        kind, message = errors.BROKEN, f"could not {verb} {uri} at {endpoint}: {said}"
    return StoreError(kind, message)


HOW_TO_SIGN = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile; FSSPEC_S3_ANON=true reads a public bucket"


def unreachable(answer: Answer, verb: str, uri: str, endpoint: str) -> str:
    """No answer, or half of one."""
    if isinstance(answer.cause, (EndpointConnectionError, ConnectTimeoutError)):
        return f"cannot reach {endpoint} to {verb} {uri}: is the address right, and the server up?"
    said = answer.message if isinstance(answer.cause, (BotoCoreError, OSError)) else answer.code
    return f"the connection to {endpoint} failed while asked to {verb} {uri}: {said or answer.code}"
