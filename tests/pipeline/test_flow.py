"""The whole pipeline on a real local engine: everything that goes in comes out."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pytest
import soundfile

from jobs.transcription import Report, SetupError, Transcribe, transcribe
from models import load_model
from pipeline import flow, machines
from pipeline.audio import AudioRules
from pipeline.bucketing import Buckets
from pipeline.inference import Device
from pipeline.reading import WORK, Rules
from tests.models.reference import published

pytestmark = pytest.mark.ray
CASE = "lasr-ctc"


@pytest.fixture(scope="module")
def model() -> Path:
    folder = published(CASE).folder
    letters = {"<pad>": 0, "|": 1} | {chr(97 + i): i + 2 for i in range(14)}
    (folder / "vocab.json").write_text(json.dumps(letters))
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    noise = np.random.default_rng(7)
    for number in range(12):
        samples = noise.normal(0, 0.1, int(16_000 * (0.5 + 0.4 * number)))
        soundfile.write(folder / f"{number:02}.flac", samples, 16_000)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "letter.flac").write_text("Dear reader, this is no audio.")
    soundfile.write(folder / "silence.wav", np.zeros(8_000), 16_000)
    return folder


@pytest.fixture(scope="module")
def ran(model: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, pa.Table]:
    output = tmp_path_factory.mktemp("out")
    report = transcribe(Transcribe((str(corpus),), str(output), str(model), shard_size=4, cpus=2))
    return report, pyarrow.dataset.dataset(output / "transcripts").to_table()


def test_every_file_ends_as_one_row(ran: tuple[Report, pa.Table], corpus: Path) -> None:
    report, table = ran
    assert sorted(Path(uri).name for uri in table["uri"].to_pylist()) == sorted(p.name for p in corpus.iterdir())
    failed = {Path(row["uri"]).name: row["error"]["class"] for row in table.to_pylist() if row["status"] == "failed"}
    assert set(failed) == {"empty.wav", "letter.flac"}
    assert sum(report.counts.values()) == len(table)
    assert report.failed == 2
    assert report.passes == 1


def test_words_are_those_of_the_model_alone(ran: tuple[Report, pa.Table], model: Path, corpus: Path) -> None:
    alone = load_model(model)
    assert alone.vocabulary is not None
    rows = {Path(row["uri"]).name: row for row in ran[1].to_pylist()}
    for path in sorted(corpus.glob("[0-9]*.flac")):
        samples, _ = soundfile.read(path, dtype="float32")
        (tokens,) = alone.predict(alone.frontend([samples]))
        assert rows[path.name]["text"] == alone.vocabulary.text(tokens.ids.tolist())  # type: ignore[union-attr]
        assert rows[path.name]["seconds"] == len(samples) / 16_000


def test_a_second_run_finds_nothing_to_do(ran: tuple[Report, pa.Table], model: Path, corpus: Path) -> None:
    again = transcribe(Transcribe((str(corpus),), ran[0].output, str(model), shard_size=4, cpus=2))
    assert (again.passes, again.shards) == (0, 0)


def test_other_options_on_the_same_output_are_refused(ran: tuple[Report, pa.Table], model: Path, corpus: Path) -> None:
    with pytest.raises(SetupError, match="option beam: not set there, 3 here"):
        transcribe(Transcribe((str(corpus),), ran[0].output, str(model), beam=3))


def test_every_problem_of_a_set_up_is_told_at_once(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError) as refused:
        transcribe(Transcribe((str(corpus),), "ftp://nowhere/out", str(tmp_path / "no-model")))
    assert len(refused.value.problems) == 2


def test_the_plan_has_two_stages_and_bucketing_is_not_in_the_pool(model: Path) -> None:
    rules = Rules("memory://out", str(model), AudioRules(), Buckets())
    with machines.cluster(cpus=2) as resources:
        work = pa.Table.from_pylist([{"plan": "p", "shard": "s", "row_group": 0, "first": 0, "rows": 1}], WORK)
        for gpus in (1.0, 0.0):
            made = flow.flow(work, rules, Device(str(model)), replace(resources, listener_gpus=gpus))
        stages = made._logical_plan.dag
        assert [str(stage.name) for stage in (stages.input_dependencies[0], stages)] == [
            "MapBatches(Reader)",
            "MapBatches(Listener)",
        ]


@pytest.mark.parametrize(("fewest", "most"), [(1, 1), (1, 2), (1, 8), (2, 8), (4, 5), (1, 16)])
def test_a_pool_with_work_and_room_grows_to_its_bound_in_one_step(fewest: int, most: int) -> None:
    threshold = flow.growth(fewest, most).actor_pool_util_upscaling_threshold
    step = math.ceil(fewest * (flow.IN_FLIGHT / threshold - 1))  # as the engine reckons
    assert fewest + step >= most
