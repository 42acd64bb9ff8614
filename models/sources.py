"""Where a checkpoint lies, brought to a local folder once.

The cache is keyed by what a remote folder holds, not by its address: a changed file gives a new folder and
never alters one in use. So an object store is asked at every call, even when nothing is downloaded.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import fsspec
from botocore import exceptions as boto  # type: ignore[import-untyped]

from models.wanted import SourceError, preferred

STORES = ("s3", "gs", "az", "memory")

VERSIONS = ("ETag", "etag", "LastModified", "mtime", "created")
"""What stores call that which changes with a file's content, the surest first."""

LISTING_SECONDS = 10.0
"""How long a store may take to list a checkpoint. Drivers retry a silent one for minutes, as users wait."""

ABANDONED_SECONDS = 24 * 3600.0
"""The age from which an unfinished download was left by a killed process."""

FOREIGN = (
    ("gcsfs.retry", "HttpError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("azure.core.exceptions", "AzureError"),
)
"""Errors of Google's and Azure's packages, which are no `OSError`s, where each is defined."""


class Store(Protocol):
    """The part of an fsspec file system that is needed here."""

    def ls(self, path: str, *, detail: bool, timeout: float) -> Sequence[Mapping[str, object]]:
        """Describe the files directly under a path, or raise when the seconds are over."""

    def get_file(self, rpath: str, lpath: str) -> None:
        """Copy one file to a local path."""


@dataclass(frozen=True)
class File:
    """A file of a remote checkpoint."""

    path: str
    """What its store calls it."""
    name: str
    """Its own name, without folders: what it may be called in the cache."""
    size: int
    """Bytes."""
    version: str
    """Changes with its content."""


def fetch(ref: str | Path) -> Path:
    """Return the local folder that a path, an `hf://org/name@revision` or a store's `s3://bucket/folder` names."""
    scheme, separator, rest = str(ref).partition("://")
    if isinstance(ref, Path) or not separator:
        return _local_folder(Path(ref))
    if scheme == "file":  # as fsspec reads it: the rest is a path, with nothing percent-encoded
        return _local_folder(Path(rest))
    if scheme == "hf":
        return _hub_snapshot(rest)
    if scheme in STORES:
        return _cached_copy(scheme, rest.rstrip("/"))
    raise SourceError(f"{scheme}:// holds no checkpoints: give a folder, s3://, gs://, az:// or hf://.")


def _local_folder(path: Path) -> Path:
    try:
        path = path.expanduser().absolute()
        there = path.exists()
    except (OSError, RuntimeError) as error:
        raise SourceError(f"{path} is no path that this machine can have ({error}).") from error
    if not there:
        raise SourceError(f"{path} does not exist: give the folder that holds the checkpoint's config.json.")
    if not path.is_dir():
        raise SourceError(f"{path} is a file, not a checkpoint folder: give the folder that it lies in.")
    return path


def _hub_snapshot(address: str) -> Path:
    try:
        # Only those need this extra who name a checkpoint on a hub; the others must start without it.
        from models import hub
    except ModuleNotFoundError as missing:
        raise SourceError("hf:// needs one more package: pip install -e '.[hub]' in the project's folder.") from missing
    return hub.snapshot(address)


def _cached_copy(scheme: str, path: str) -> Path:
    _require_plain(scheme, path)
    url = f"{scheme}://{path}"
    with _told_in_one_sentence(url):
        # Without fsspec's own caches, which would hide that a file has changed since the last call.
        store = cast("Store", fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False))
    files = _checkpoint_files(store, url)
    folder = _cache_folder() / _content_key(files)
    if not folder.is_dir():
        _download(store, url, files, folder)
    if wrong := _wrong_sizes(folder, files):
        raise SourceError(f"{folder}, the copy of {url}, is damaged ({wrong}): delete it and try again.")
    return folder


def _require_plain(scheme: str, path: str) -> None:
    """Refuse an address with credentials, without repeating it: messages end in logs."""
    bucket = path.partition("/")[0]
    if not bucket:
        raise SourceError(f"{scheme}:// names no bucket: write {scheme}://bucket/folder.")
    if "?" in path or (":" in bucket and not bucket.startswith("arn:")):
        raise SourceError(f"Write {scheme}://bucket/folder, no more: credentials come from the environment.")


def _checkpoint_files(store: Store, url: str) -> list[File]:
    with _told_in_one_sentence(url):
        found = {file.name: file for file in _listed(store, url)}
    if any(url.endswith(f"://{file.path.lstrip('/')}") for file in found.values()):
        raise SourceError(f"{url} is a file, not a checkpoint folder: give the folder that it lies in.")
    files = [found[name] for name in preferred(found)]
    if not files:
        raise SourceError(f"{url} holds no checkpoint files: give the folder that holds config.json.")
    return files


def _listed(store: Store, url: str) -> Iterator[File]:
    for entry in store.ls(url, detail=True, timeout=LISTING_SECONDS):
        if entry["type"] == "file":
            path = str(entry["name"])
            version = next((str(entry[key]) for key in VERSIONS if entry.get(key)), "")
            yield File(path, path.rpartition("/")[2], int(str(entry["size"])), version)


def _cache_folder() -> Path:
    root = os.environ.get("STENOPOOL_CACHE") or "~/.cache/stenopool"
    return Path(root).expanduser().absolute() / "checkpoints"


def _content_key(files: Sequence[File]) -> str:
    return hashlib.sha256(repr([(file.name, file.size, file.version) for file in files]).encode()).hexdigest()


def _download(store: Store, url: str, files: Sequence[File], folder: Path) -> None:
    """Fill a folder of our own beside `folder`, then give it that name in one step."""
    _remove_abandoned(folder.parent)
    with _folder_of_our_own(folder) as partial:
        arriving = Path(partial, "checkpoint")  # made in the private folder, but with the usual rights
        arriving.mkdir()
        for file in files:  # one by one: a driver already holds many parts of one large file in memory
            with _told_in_one_sentence(url):
                store.get_file(file.path, str(arriving / file.name))
        if _wrong_sizes(arriving, files) or _checkpoint_files(store, url) != files:
            raise SourceError(f"{url} changed while it was downloaded: try again when it is complete.")
        try:
            arriving.rename(folder)
        except OSError:
            if not folder.is_dir():  # if it is, another process was faster, and its copy is as good as ours
                raise


def _folder_of_our_own(folder: Path) -> tempfile.TemporaryDirectory[str]:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=f"{folder.name}.", suffix=".partial", dir=folder.parent)
    except OSError as error:
        raise SourceError(
            f"{folder.parent} cannot be written ({error.strerror}): set STENOPOOL_CACHE to a folder that can."
        ) from error


def _remove_abandoned(folder: Path) -> None:
    for partial in folder.glob("*.partial"):
        with suppress(FileNotFoundError):  # another process is removing it too
            if time.time() - partial.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(partial, ignore_errors=True)


def _wrong_sizes(folder: Path, files: Sequence[File]) -> str:
    """Name the files that are missing or cut."""
    there = {path.name: path.stat().st_size for path in folder.iterdir()}
    return ", ".join(file.name for file in files if there.get(file.name) != file.size)


@contextmanager
def _told_in_one_sentence(url: str) -> Iterator[None]:
    """Turn what a store's driver raises into the user's words."""
    try:
        yield
    except _raised() as error:
        raise SourceError(f"{url} {_reason(error)}.") from error


def _raised() -> tuple[type[Exception], ...]:
    """What a store's driver may raise; Google's and Azure's own errors are of modules that are loaded then."""
    foreign = [getattr(sys.modules.get(module), name, None) for module, name in FOREIGN]
    known = [kind for kind in foreign if isinstance(kind, type) and issubclass(kind, Exception)]
    return OSError, ImportError, ValueError, boto.BotoCoreError, *known


def _reason(error: Exception) -> str:
    match error:
        case ImportError():
            said = "needs one more package: pip install s3fs (s3://), gcsfs (gs://) or adlfs (az://)"
        case FileNotFoundError(__cause__=boto.ClientError(response={"Error": {"Code": "NoSuchBucket"}})):
            said = "lies in a bucket that does not exist: check the bucket's name and the endpoint"
        case FileNotFoundError():
            said = "does not exist or is empty: give the folder that holds the checkpoint's config.json"
        case PermissionError():
            said = "may not be read with these credentials: ask for the right to list and read it"
        case boto.NoCredentialsError() | boto.PartialCredentialsError() | boto.CredentialRetrievalError():
            said = "needs credentials, and the environment has none that are complete"
        case boto.ConnectionError() | boto.HTTPClientError() | ConnectionError() | TimeoutError():
            said = "is out of reach: check the network and the store's endpoint (AWS_ENDPOINT_URL)"
        case OSError(strerror=str(said)):
            said = f"could not be fetched ({said})"
        case _:
            said = f"could not be fetched ({type(error).__name__}): check the bucket's name and the store's settings"
    return said
