"""Addresses that an input names are data: none outside the list is opened, and no machine is asked for its secrets."""

import json
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.pipeline.corpora import jsonl, kinds, read, written

ADDRESSES = [
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "https://169.254.169.254/latest/api/token",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://metadata.google.internal/computeMetadata/v1/",
    "HTTP://127.0.0.1:8265/api/jobs/",
    "simplecache::http://169.254.169.254/latest",
    "ftp://169.254.169.254/a.wav",
    "sftp://somebody@169.254.169.254/a.wav",
    "gopher://169.254.169.254:6379/_FLUSHALL",
]


@pytest.fixture(autouse=True)
def called(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Whom this process has called, or looked up: nobody is let through."""
    asked: list[object] = []

    def refuse(*words: object, **_: object) -> None:
        asked.append(words)
        raise OSError("no calls from here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return asked


def as_manifest(folder: Path) -> Path:
    return written(folder, {"m.jsonl": jsonl([{"audio_filepath": each} for each in ADDRESSES])}) / "m.jsonl"


def as_kaldi(folder: Path) -> Path:
    lines = "".join(f"u{i:02} {each}\n" for i, each in enumerate(ADDRESSES))
    return written(folder, {"wav.scp": lines.encode()})


def as_parquet(folder: Path) -> Path:
    folder.mkdir()
    audio = pa.array(
        [{"bytes": None, "path": each} for each in ADDRESSES], pa.struct({"bytes": pa.binary(), "path": pa.string()})
    )
    pyarrow.parquet.write_table(pa.table({"audio": audio}), folder / "t.parquet")
    return folder / "t.parquet"


def as_cuts(folder: Path) -> Path:
    cuts = [
        {
            "id": f"c{i}",
            "start": 0.0,
            "duration": 1.0,
            "channel": 0,
            "type": "MonoCut",
            "supervisions": [],
            "recording": {
                "id": f"r{i}",
                "sources": [{"type": "url", "channels": [0], "source": each}],
                "sampling_rate": 16000,
                "num_samples": 16000,
                "duration": 1.0,
            },
        }
        for i, each in enumerate(ADDRESSES)
    ]
    return written(folder, {"cuts.jsonl": b"".join(json.dumps(cut).encode() + b"\n" for cut in cuts)}) / "cuts.jsonl"


@pytest.mark.parametrize("form", [as_manifest, as_kaldi, as_parquet, as_cuts])
def test_an_address_outside_the_list_is_a_failed_row_and_nobody_is_called(
    form: object, tmp_path: Path, called: list[object]
) -> None:
    assert callable(form)
    found = read(form(tmp_path / "in"))
    assert kinds(found) == ["BadScheme"] * len(ADDRESSES)
    assert called == []
