"""A checkpoint on the Hugging Face hub, as the snapshot folder of one commit.

What comes back is of one commit, whole, even if the branch moves meanwhile; every later read is from that folder.
"""

import glob
import re
from collections.abc import Iterable
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, errors, get_cached_repo_tree, snapshot_download

from models.wanted import SourceError, preferred

ADDRESS = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./+-]+))?")

ANSWER_SECONDS = 10.0
"""How long a hub may take to say what a repository holds: the client itself would wait for ever."""


def snapshot(address: str) -> Path:
    """Return the local snapshot of `org/name` or `org/name@revision`."""
    parts = ADDRESS.fullmatch(address)
    if not parts:
        raise SourceError("An hf:// address reads hf://org/name or hf://org/name@revision.")
    try:
        return _fetched(parts["repo"], parts["revision"])
    except (OSError, httpx2.TransportError, errors.HFValidationError) as error:
        raise SourceError(f"hf://{address} {_reason(error)}.") from error


def _fetched(repo: str, revision: str | None) -> Path:
    try:
        published = HfApi().model_info(repo, revision=revision, timeout=ANSWER_SECONDS)
    except (errors.OfflineModeIsEnabled, httpx2.TransportError):
        return _cached(repo, revision)
    patterns = _patterns(file.rfilename for file in published.siblings or [])
    # By branch, not by commit: only so does the client note which commit the branch was, for when it is offline.
    folder = Path(snapshot_download(repo, revision=revision, allow_patterns=patterns))
    moved = folder.name != published.sha  # between the two questions: then the list of files is of another commit
    return _fetched(repo, revision) if moved else folder


def _cached(repo: str, revision: str | None) -> Path:
    try:
        patterns = _patterns(file.path for file in get_cached_repo_tree(repo, revision=revision))
    except errors.CachedRepoTreeNotFoundError:  # an older client left no listing to hold the copy against
        patterns = None
    return Path(snapshot_download(repo, revision=revision, allow_patterns=patterns, local_files_only=True))


def _patterns(names: Iterable[str]) -> list[str]:
    return [glob.escape(name) for name in preferred(names)]


def _reason(error: Exception) -> str:
    match error:
        case errors.GatedRepoError():
            said = "is gated: accept its terms on its page, then run `hf auth login` or set HF_TOKEN"
        case errors.RepositoryNotFoundError():
            said = "does not exist or is private: check its name, or run `hf auth login` or set HF_TOKEN"
        case errors.RevisionNotFoundError():
            said = "has no such revision: give a branch, a tag or a commit after the @"
        case errors.HfHubHTTPError():
            said = f"could not be fetched: the hub answered {error.response.status_code}; try again later"
        case errors.HFValidationError():
            said = "is no name that a hub can have: write hf://org/name"
        case errors.LocalEntryNotFoundError() | httpx2.TransportError():
            said = "is out of reach, and the local cache has no complete copy: fetch it once with a network"
        case _:
            said = f"could not be fetched ({getattr(error, 'strerror', None) or type(error).__name__})"
    return said
