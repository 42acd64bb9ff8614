"""Inputs in the memory of the process that asks: read by a run of its own, and by no cluster."""

import json
import os
from pathlib import Path
from uuid import uuid4

import fsspec
import pyarrow.dataset
import pytest

from jobs import Transcribe, transcribe
from jobs.planning import Once
from jobs.setup import SetupError, checked
from jobs.transcription import task
from pipeline.lending import lent
from pipeline.output import claim
from pipeline.storage import LENT, Store, StoreError, list_entries, read_bytes
from tests.checkpoints import write_small_speller
from tests.jobs.planned import add

CORPUS = Path(__file__).parents[2] / "jobs/demo/corpus"


@pytest.fixture
def memory() -> str:
    """A folder of it that no other test has."""
    return f"memory://{uuid4().hex}"


def put(memory: str, name: str, payload: bytes) -> None:
    fsspec.filesystem("memory").pipe(f"{memory}/{name}", payload)


@pytest.mark.ray
def test_what_lies_in_memory_is_heard_as_what_lies_in_a_folder(memory: str, tmp_path: Path) -> None:
    folder, model = tmp_path / memory.rpartition("/")[2], write_small_speller(tmp_path / "model")
    for name in ("said/audio", "more"):
        (folder / name).mkdir(parents=True)
    sounds = {f"said/audio/{path.name}": path.read_bytes() for path in sorted((CORPUS / "loose").glob("flac-0[0-3]*"))}
    (tar,) = (CORPUS / "shards").glob("*.tar")
    lines = [json.dumps({"audio_filepath": name.removeprefix("said/"), "text": "it"}) for name in sounds]
    files = {**sounds, "said/manifest.json": "\n".join(lines).encode(), tar.name: tar.read_bytes()}
    files["more/one.wav"] = next(iter(sounds.values()))
    for name, payload in files.items():
        (folder / name).write_bytes(payload)
        put(memory, name, payload)
    tables = []
    for place in (memory, str(folder)):
        out, named = tmp_path / uuid4().hex, (f"{place}/said/manifest.json", f"{place}/{tar.name}", f"{place}/more/o*")
        report = transcribe(Transcribe(named, str(out), str(model), cpus=2))
        assert report.failed == 0
        found = pyarrow.dataset.dataset(out / "transcripts").to_table(["recording_id", "text", "reference", "seconds"])
        tables.append(found.sort_by("recording_id").to_pylist())
    assert len(tables[0]) > 2 * len(sounds)
    assert tables[0] == tables[1]
    assert LENT not in os.environ


def test_memory_is_lent_to_be_read(memory: str) -> None:
    put(memory, "a/b.wav", b"sound")
    put(memory, "../c.wav", b"outside")
    there = list(list_entries(f"{memory}/a"))
    with lent((f"{memory}/a/*.wav", "elsewhere")):
        (entry,) = list_entries(f"{memory}/a/*.wav")
        assert (entry.uri, entry.size) == (there[0].uri, there[0].size)
        assert read_bytes(entry.uri, 1, 3) == b"ou"
        with pytest.raises(StoreError, match=f"^{memory}/a/none.wav: no such file$"):
            read_bytes(f"{memory}/a/none.wav")
        with pytest.raises(StoreError, match="would leave"):
            read_bytes(f"{memory}/../../../etc/passwd")
        assert list(Path(os.environ[LENT]).parent.glob("c.wav")) == []
        with pytest.raises(StoreError, match="lent to be read"):
            Store(memory).create("more", b"")
    assert read_bytes(entry.uri) == b"sound"


def test_a_cluster_does_not_see_it(memory: str, tmp_path: Path) -> None:
    asked = Transcribe(
        (memory,), str(tmp_path / "out"), str(tmp_path / "none"), roots=(memory,), tars=memory, address="auto"
    )
    assert len([flaw for flaw in asked.flaws() if "nodes do not see it: name a bucket" in flaw]) == 3
    with pytest.raises(SetupError, match="nodes do not see it"):
        transcribe(asked)


@pytest.mark.ray
def test_what_has_gone_from_memory_is_told_and_no_row_is_written(memory: str, tmp_path: Path) -> None:
    model, out = write_small_speller(tmp_path / "model"), tmp_path / "out"
    put(memory, "a.wav", next((CORPUS / "loose").glob("flac-00*")).read_bytes())
    asked = Transcribe((memory,), str(out), str(model), cpus=1)
    ready = checked(asked, task(asked), Once(asked))
    claim(ready.store, ready.identity)
    add(Once(asked), ready.store)
    fsspec.filesystem("memory").rm(memory, recursive=True)
    with pytest.raises(StoreError, match="there is nothing there"):
        transcribe(asked)
    assert not list(out.glob("transcripts/*"))
