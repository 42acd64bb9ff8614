"""Vectors: every frame of a recording counts once, however it was cut, and company changes nothing."""

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from models import load_model
from models.model import SpeechModel
from pipeline.audio import AudioRules, segments
from pipeline.batches import Ready, pack
from pipeline.embedding import Embedding, Frames, Pooled
from pipeline.features import features
from pipeline.gathering import Gathering
from pipeline.inference import Device, Listener
from pipeline.inputs.found import PlanError
from pipeline.plan import plan
from pipeline.schema import Recording
from pipeline.stitching import Making, Piece
from pipeline.storage import Store, StoreError
from tests.checkpoints import CONFIGS, write_random
from tests.clips import make_clips
from tests.pipeline.sounds import encode, noise

CLIP = make_clips(16_000, seed=0).good[0]
BARE = {"HuBERT": "HubertModel", "LASR": "LasrEncoder", "SEW-D": "SEWDModel", "Speech2Text": "Speech2TextModel"}
CUT = AudioRules(longest_seconds=4.0, shortest_seconds=1.5, context_seconds=0.5)
WHOLE = AudioRules(cut="none")


@pytest.fixture(scope="module", params=sorted(BARE))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    write_random(BARE[request.param], CONFIGS[request.param], CLIP, path)
    return path


def read(model: SpeechModel, ordinal: int, seconds: float, rules: AudioRules) -> list[Ready]:
    recording = Recording("s", ordinal, f"{ordinal}", "uri", encode(noise(seconds, seed=ordinal)))
    return list(features(segments(recording, rules), model.frontend))


def row(folder: Path, task: Embedding, pieces: list[Ready], seconds_of: int = 0) -> dict[str, object]:
    """The row of one recording of a batch."""
    gathering = Gathering(Making("model", "run", 16_000, stitch=Pooled()))
    heard = Listener(Device(str(folder), task=task))(pack([*pieces, Ready({"shard": "s", "census": 2}, None)]))
    (whole,) = gathering.take(heard)
    found: dict[str, object] = whole.table.to_pylist()[seconds_of]
    return found


@pytest.mark.parametrize("layer", [None, 0, 2])
def test_a_vector_is_the_mean_of_the_frames_and_company_does_not_change_it(folder: Path, layer: int | None) -> None:
    model = load_model(folder)
    pieces, company = read(model, 0, 2.0, WHOLE), read(model, 1, 3.1, WHOLE)
    found = row(folder, Embedding(layer), [*company, *pieces])
    batch = model.frontend([noise(2.0, seed=0).astype(np.float32)])
    if layer is None:
        hidden = model.predict(batch)[0].vector  # type: ignore[union-attr]
    else:
        states = model.hidden_states(batch)
        hidden = states.states[layer][0, : int(states.lengths[0])].mean(0).numpy()
    assert found["status"] == "ok"
    np.testing.assert_allclose(np.array(found["embedding"]), hidden, atol=3e-4)  # 16 bits in the file
    assert len(found["embedding"]) == model.encoder.width  # type: ignore[arg-type]


@pytest.mark.parametrize("layer", [None, 1])
def test_pieces_together_have_every_frame_once(folder: Path, layer: int | None, tmp_path: Path) -> None:
    """Their own frames follow one another by one step, as those of the uncut recording do; files say the same."""
    model, store = load_model(folder), Store(str(tmp_path))
    pieces = read(model, 0, 12.0, CUT)
    assert len(pieces) > 3
    task = Embedding(layer, Frames(str(tmp_path), (1, 2), "float16"))
    found = row(folder, task, [*read(model, 1, 1.0, CUT), *pieces[::-1]])
    files = found["frame_files"]
    assert isinstance(files, list)
    assert len(files) == len(pieces)
    tables = [pq.read_table(io.BytesIO(store.read(name))) for name in files]
    starts = np.concatenate([table["start"].to_numpy() for table in tables])
    step = model.layer_clock(1).step / 16_000
    assert np.all(np.abs(np.diff(starts) - step) <= step / 2 + 1e-9)
    (whole,) = model.vectors(model.frontend([noise(12.0, seed=0)]), [1])
    assert abs(len(starts) - len(whole[0])) <= len(pieces)  # type: ignore[index]
    vectors = np.concatenate([np.stack(table["layer_1"].to_numpy(zero_copy_only=False)) for table in tables])
    assert vectors.dtype == np.float16
    assert vectors.shape == (len(starts), model.encoder.width)
    if layer == 1:
        np.testing.assert_allclose(vectors.astype(np.float64).mean(0), np.array(found["embedding"]), atol=2e-3)


def test_pieces_count_by_their_frames() -> None:
    def piece(values: list[float], weight: int) -> Piece:
        return Piece((0, 1), 1, None, (), {}, 1.0, vector=values, weight=weight)

    silent = Piece((0, 1), 1, None, (), {}, 0.0)
    pooled = Pooled().row([piece([1.0, 0.0], 3), silent, piece([5.0, 8.0], 1)], Making("m", "r", 1))
    assert pooled == {"status": "ok", "embedding": [2.0, 2.0], "frame_files": None}
    assert Pooled().row([silent], Making("m", "r", 1)) == {"status": "empty"}


def test_a_piece_that_is_heard_again_finds_its_file_there(folder: Path, tmp_path: Path) -> None:
    model = load_model(folder)
    task = Embedding(None, Frames(str(tmp_path), (2,)))
    first = row(folder, task, read(model, 0, 2.0, WHOLE) + read(model, 1, 1.0, WHOLE))
    (path,) = tmp_path.glob("frames/s/000000-00000.parquet")
    before = path.read_bytes()
    assert row(folder, task, read(model, 0, 2.0, WHOLE) + read(model, 1, 1.0, WHOLE)) == first
    assert path.read_bytes() == before
    with pytest.raises(PlanError, match="holds no audio"):  # nor is it taken for some, where it lies in an input
        plan([str(tmp_path)])


def test_a_rehearsal_writes_no_file(folder: Path, tmp_path: Path) -> None:
    model = load_model(folder)
    task = Embedding(None, Frames(str(tmp_path), (2,)))
    pieces = read(model, 0, 2.0, WHOLE) + read(model, 1, 1.0, WHOLE)
    rehearsed = row(folder, task.rehearsed(), pieces)
    assert not list(tmp_path.iterdir())
    assert row(folder, task, pieces) == rehearsed
    assert Embedding(1).rehearsed() == Embedding(1)


def test_storage_that_fails_is_no_recordings_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_random("HubertModel", CONFIGS["HuBERT"], CLIP, tmp_path)
    model = load_model(tmp_path)

    def fail(*_: object) -> bool:
        raise StoreError("Unreachable", "the bucket does not answer")

    monkeypatch.setattr(Store, "create", fail)
    gathering = Gathering(Making("model", "run", 16_000, stitch=Pooled()))
    task = Embedding(None, Frames(str(tmp_path / "out"), (2,)))
    heard = Listener(Device(str(tmp_path), task=task))(pack(read(model, 0, 2.0, WHOLE)))
    assert list(gathering.take(heard)) == []
    assert gathering.outages == {"s": "the bucket does not answer"}


def test_a_layer_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_random("HubertModel", CONFIGS["HuBERT"], CLIP, tmp_path)
    said = list(Embedding(3, Frames("out", (2, -1))).flaws(load_model(tmp_path)))
    assert said == [
        "layer 3 was asked for, and it has 0 (what the first layer reads) to 2",
        "layer -1 was asked for, and it has 0 (what the first layer reads) to 2",
    ]
