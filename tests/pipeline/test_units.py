"""Units: each frame of a recording once, the same in any company."""

from pathlib import Path

import numpy as np
import pytest

from models import load_model
from models.protocol import Units
from pipeline.audio import AudioRules, segments
from pipeline.batches import Ready, pack
from pipeline.features import features
from pipeline.inference import Device, Listener
from pipeline.schema import Recording
from pipeline.stitching import Making, Piece
from pipeline.storage import Store
from pipeline.units import CENTROIDS, Clusters, Codes, Every, Runs
from tests.checkpoints import CONFIGS, write_random
from tests.clips import make_clips
from tests.pipeline.sounds import encode, noise

CLIP = make_clips(16_000, seed=0).good[0]
MAKING = Making("model", "run", 16_000)
CUT = AudioRules(longest_seconds=4.0, shortest_seconds=1.5, context_seconds=0.5)


@pytest.fixture(scope="module")
def codebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_random("UniSpeechForPreTraining", CONFIGS["UniSpeech"], CLIP, folder)
    return folder


def piece(*units: int) -> Piece:
    return Piece((0, 1), 1, None, (), {}, 1.0, units=units)


def read(folder: Path, ordinal: int, seconds: float, rules: AudioRules) -> list[Ready]:
    recording = Recording("s", ordinal, f"{ordinal}", "uri", encode(noise(seconds, seed=ordinal)))
    return list(features(segments(recording, rules), load_model(folder).frontend))


def test_runs_are_counted_over_the_edges_of_pieces() -> None:
    pieces = [piece(4, 4, 2), piece(), piece(2, 2, 4)]
    assert Every().row(pieces, MAKING) == {"status": "ok", "units": [4, 4, 2, 2, 2, 4]}
    assert Runs().row(pieces, MAKING) == {"status": "ok", "units": [4, 2, 4], "unit_frames": [2, 3, 1]}
    assert Every().row([piece()], MAKING) == Runs().row([piece()], MAKING) == {"status": "empty"}


def test_codes_are_the_models_own_as_one_number_and_company_does_not_change_them(codebook: Path) -> None:
    model = load_model(codebook)
    listener = Listener(Device(str(codebook), task=Codes()))
    here, others = read(codebook, 0, 2.0, CUT), read(codebook, 1, 9.0, CUT)
    alone = listener(pack(here))["units"][0].as_py()
    together = listener(pack([*others, *here]))["units"][len(others)].as_py()
    assert alone == together
    (found,) = model.predict(model.frontend([noise(2.0, seed=0)]))
    assert isinstance(found, Units)
    agree = np.mean(np.array(alone) == found.codes[:, 0] * 40 + found.codes[:, 1])
    assert agree > 0.97, agree  # the file has 16 bits


def test_the_pieces_of_a_long_recording_have_each_frame_once(codebook: Path) -> None:
    model = load_model(codebook)
    heard = Listener(Device(str(codebook), task=Codes()))(pack(read(codebook, 0, 12.0, CUT)))
    assert len(heard) > 3
    whole = model.encoder.frames(12 * 16_000)
    assert abs(sum(len(units) for units in heard["units"].to_pylist()) - whole) <= len(heard)


def test_frames_are_named_by_their_nearest_centroid(codebook: Path, tmp_path: Path) -> None:
    model = load_model(codebook)
    (vectors,) = model.vectors(model.frontend([noise(2.0, seed=0)]), [1])
    centroids = vectors[0][[5, 50, 90]].numpy()  # type: ignore[index]
    np.save(tmp_path / "centroids.npy", centroids)
    Store(str(tmp_path)).create(CENTROIDS, (tmp_path / "centroids.npy").read_bytes())
    listener = Listener(Device(str(codebook), task=Clusters(str(tmp_path), layer=1)))
    (units,) = listener(pack(read(codebook, 0, 2.0, AudioRules())))["units"].to_pylist()
    assert [units[5], units[50], units[90]] == [0, 1, 2]
    assert set(units) == {0, 1, 2}


def test_what_is_rehearsed_needs_no_centroids_and_names_as_many_frames(codebook: Path, tmp_path: Path) -> None:
    task = Clusters(str(tmp_path / "nothing"), layer=1, clusters=7).rehearsed()
    heard = Listener(Device(str(codebook), task=task))(pack(read(codebook, 0, 2.0, AudioRules())))
    (units,), (seconds,) = heard["units"].to_pylist(), heard["seconds"].to_pylist()
    assert len(units) == load_model(codebook).encoder.frames(2 * 16_000)
    assert len(set(units)) > 1 and max(units) < 7
    assert seconds == pytest.approx(2.0, abs=0.02)


def test_what_a_model_does_not_have_is_named(codebook: Path, tmp_path: Path) -> None:
    write_random("HubertModel", CONFIGS["HuBERT"], CLIP, tmp_path)
    bare = load_model(tmp_path)
    assert list(Codes().flaws(load_model(codebook))) == []
    assert "a HubertModel has no code book" in next(iter(Codes().flaws(bare)))
    assert "layer 7 was asked for" in next(iter(Clusters("out", layer=7).flaws(bare)))
