"""The corpus's recordings, read back as the pipeline reads them."""

import tarfile
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq

from jobs.demo.speech import Samples
from jobs.demo.truth import Truth
from pipeline.audio import AudioRules, segments
from pipeline.schema import Recording

HEARD = AudioRules(channels="each", cut="none")


def heard(content: bytes) -> list[Samples]:
    """The channels of an encoded recording, at 16 kHz; `ValueError` says why there are none."""
    pieces = list(segments(Recording("", 0, "", "", content), HEARD))
    if failed := [piece.failure.message for piece in pieces if piece.failure]:
        raise ValueError(failed[0])
    return [piece.samples for piece in pieces]


def stored(corpus: Path, truth: Truth) -> bytes:
    """The encoded bytes, wherever they lie."""
    path, member = corpus / truth.file, truth.id.rpartition("/")[2]
    match path.suffix:
        case ".tar":
            with tarfile.open(path) as tar:
                file = tar.extractfile(member)
                assert file is not None
                return file.read()
        case ".parquet":
            return _table(path)[member]
        case _:
            return path.read_bytes()


@cache
def _table(path: Path) -> dict[str, bytes]:
    sounds = pq.read_table(path).column("audio").to_pylist()
    return {sound["path"]: sound["bytes"] for sound in sounds}
