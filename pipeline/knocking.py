"""Ask a store for one word before a job is built on it: one that is silent is told within seconds.

A run asks again for minutes, as it should. Who has just mistyped an address should not wait for that.
"""

from aiohttp import ClientError as WireError
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError  # type: ignore[import-untyped]

from pipeline.storage import DISK, S3, StoreError, parse
from pipeline.stores import errors, other, s3
from pipeline.stores.other_words import raised
from pipeline.stores.retry import Patience, TransientError, patiently
from pipeline.stores.s3_words import read_answer, unreachable

SECONDS = 8.0
"""That an answer may take; who is silent is not asked again."""
TRIES = Patience(attempts=4)
"""Where a connection breaks at once, which chance may do."""


def knock(url: str) -> None:
    """`StoreError` Unreachable where nothing answers; every answer will do, also a refusal."""
    scheme, path = parse(url)
    if scheme in DISK:
        return
    if scheme in S3:
        patiently(lambda: _bucket(path), TRIES)
    else:
        _other(scheme, path)


def _bucket(path: str) -> None:
    name = path.partition("/")[0]
    try:
        s3.call_bucket("head_bucket", name, {"timeout": SECONDS})
    except TimeoutError:
        raise _silent(f"{s3.endpoint()} gives no answer about s3://{name}") from None
    except (OSError, BotoCoreError, ClientError, WireError) as error:
        answer = read_answer(error)
        if answer.lost:
            words = unreachable(answer, "look at", f"s3://{name}", s3.endpoint())
            failure = StoreError(errors.UNREACHABLE, words)
            raise failure if isinstance(answer.cause, ConnectTimeoutError) else TransientError(failure) from None


def _other(scheme: str, path: str) -> None:
    name = path.strip("/").partition("/")[0]
    try:
        other.file_system(scheme).info(name, timeout=SECONDS)
    except TimeoutError:
        raise _silent(f"{scheme}://{name} gives no answer") from None
    except raised():  # it is not there, or not for us: an answer, which is told by who needs more
        return


def _silent(words: str) -> StoreError:
    said = f"{words} within {SECONDS:.0f} s: is the address right, and the server up?"
    return StoreError(errors.UNREACHABLE, said)
