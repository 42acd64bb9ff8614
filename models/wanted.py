"""Which files of a published folder make a checkpoint, and the error of one that cannot be had."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

CHECKPOINT_FILES = ("*.json", "*.safetensors", "*.bin", "*.h5", "*.model", "*.txt")

SAFETENSORS = {"model.safetensors", "model.safetensors.index.json"}
"""Either of them says that the weights are there as safetensors."""

OTHER_WEIGHTS = ("pytorch_model*.bin", "tf_model*.h5")
"""The same weights again. Without safetensors both are fetched: which one is read is the reader's to say."""


class SourceError(ValueError):
    """A checkpoint that cannot be had, in one sentence that says what to do."""


def preferred(names: Iterable[str]) -> list[str]:
    """Choose the files to fetch of a checkpoint: those in its own folder, no weights beside safetensors."""
    files = sorted(name for name in names if "/" not in name and _matches(name, CHECKPOINT_FILES))
    superfluous = () if SAFETENSORS.isdisjoint(files) else OTHER_WEIGHTS
    return [name for name in files if not _matches(name, superfluous)]


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
