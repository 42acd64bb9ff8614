"""What decides the words of a run, as a hash that tells two checkpoints apart by what is in them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

DECISIVE = (".json", ".safetensors", ".bin", ".h5", ".model")
CHUNK = 4 << 20


def weights_hash(folder: Path) -> str:
    """Of every file in a checkpoint's folder that decides words."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.suffix in DECISIVE):
        digest.update(path.name.encode() + b"\0")
        for chunk in _chunks(path):
            digest.update(chunk)
    return digest.hexdigest()[:32]


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
