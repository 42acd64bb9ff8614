"""Small corpora of every form, written where a test wants them."""

import gzip
import io
import json
import tarfile
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.inputs.found import PlanRules
from pipeline.plan import DEFAULT, plan
from pipeline.schema import Recording
from pipeline.sources import recordings


def clip(seed: int = 0, seconds: float = 0.05) -> bytes:
    """A WAV that no other seed makes."""
    noise = np.random.default_rng(seed).integers(-9000, 9000, int(16000 * seconds), dtype=np.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        sound.writeframes(noise.tobytes())
    return file.getvalue()


def tarred(files: Sequence[tuple[str, bytes]]) -> bytes:
    """A tar of files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def jsonl(entries: Sequence[object]) -> bytes:
    """JSON lines; bytes are lines as they are."""
    return b"".join((entry if isinstance(entry, bytes) else json.dumps(entry).encode()) + b"\n" for entry in entries)


def written(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A folder with these files in it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def shar(cuts: Sequence[Mapping[str, object]], audio: Sequence[tuple[str, bytes]]) -> dict[str, bytes]:
    """One numbered pair of a Shar folder."""
    members = [part for name, content in audio for part in ((f"{name}.wav", content), (f"{name}.json", b"{}"))]
    return {"cuts.000000.jsonl.gz": gzip.compress(jsonl(cuts)), "recording.000000.tar": tarred(members)}


def read(*inputs: object, rules: PlanRules = DEFAULT) -> list[Recording]:
    """Every recording of the inputs, in order."""
    return [recording for shard in plan([str(each) for each in inputs], rules) for recording in recordings(shard)]


def by_id(found: Sequence[Recording]) -> dict[str, Recording]:
    """The recordings by their ids; two of one id are a mistake."""
    named = {recording.recording_id: recording for recording in found}
    assert len(named) == len(found)
    return named


def kinds(found: Sequence[Recording]) -> list[str | None]:
    """How each recording failed, or None."""
    assert all((each.audio is None) == (each.failure is not None) for each in found)
    assert [each.ordinal for each in found] == list(range(len(found)))
    return [each.failure.kind if each.failure else None for each in found]
