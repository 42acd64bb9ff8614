"""The whole pipeline on a real local engine: everything that goes in comes out."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pytest
import ray.data
import soundfile
from psutil import Process
from ray.data import ActorPoolStrategy, DataContext, Dataset
from ray.data._internal.execution.operators.map_operator import MapOperator
from ray.data._internal.logical.optimizers import get_execution_plan
from ray.data.block import BlockStats

from jobs.transcription import Report, SetupError, Transcribe, transcribe
from models import load_model
from pipeline import flow, machines
from pipeline.audio import AudioRules
from pipeline.bucketing import Buckets
from pipeline.forgetting import Forgetting, give_back
from pipeline.inference import Device
from pipeline.inputs.found import PlanRules
from pipeline.lease import Lease
from pipeline.output import add_generation
from pipeline.pacing import TURN, Pacing
from pipeline.passes import Passes
from pipeline.plan import plan
from pipeline.planfile import write_plan
from pipeline.reading import WORK, Rules
from pipeline.resources import Resources
from pipeline.stitching import Making
from pipeline.storage import Store
from tests.models.reference import published

pytestmark = pytest.mark.ray
CASE = "lasr-ctc"
PLANNED = [pa.Table.from_pylist([{"plan": "p", "shard": "s", "row_group": 0, "first": 0, "rows": 1}], WORK)]


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


def stages(made: Dataset) -> dict[str, dict[str, object]]:
    """What the engine will really run, planned and optimised to the end: names, and what their workers ask for."""
    plan, _ = get_execution_plan(made._logical_plan)
    found, stage = {}, plan.dag
    while stage.input_dependencies:
        assert isinstance(stage, MapOperator)
        given = stage._ray_remote_args_fn
        found[stage.name] = stage._ray_remote_args | (given() if given else {})
        (stage,) = stage.input_dependencies
    return dict(reversed(found.items()))


def assert_apart(made: Dataset) -> None:
    """Reading, with its bucketing, is a pool of its own."""
    assert list(stages(made)) == ["MapBatches(Reader)", "MapBatches(Listener)"]


@pytest.fixture(scope="module")
def here() -> Iterator[Resources]:
    """A cluster on which nothing runs, and the same asked of it for readers and models."""
    same = {"reader_cpus": 1.0, "listener_cpus": 1.0, "reader_memory": 3 << 30, "listener_memory": 3 << 30}
    with machines.cluster(cpus=2) as resources:
        yield replace(resources, **same)  # type: ignore[arg-type]


@pytest.mark.parametrize("gpus", [1.0, 0.0])
def test_the_engine_runs_two_stages_and_bucketing_is_not_in_the_pool(here: Resources, gpus: float) -> None:
    rules = Rules("memory://out", "model", AudioRules(), Buckets())
    made = flow.flow(PLANNED, rules, Device("model"), replace(here, listener_gpus=gpus))
    assert_apart(made)
    both = {"num_cpus": 1.0, "memory": 3 << 30, "max_restarts": -1, "max_task_retries": 1}
    reader, listener = stages(made).values()
    assert reader.items() >= both.items() and not reader.get("num_gpus")
    assert listener.items() >= (both | {"num_gpus": gpus}).items()


def test_what_the_engine_notes_of_every_block_is_forgotten_as_the_flow_goes_on(here: Resources) -> None:
    rules = Rules("memory://out", "model", AudioRules(), Buckets())
    plan, _ = get_execution_plan(flow.flow(PLANNED, rules, Device("model"), here)._logical_plan)
    assert Forgetting in DataContext.get_current().custom_execution_callback_classes
    times = iter([0.0, 0.5, 1.5])
    forgetting, topology = Forgetting(lambda: next(times)), {plan.dag: None, plan.dag.input_dependencies[0]: None}
    for stage in topology:
        stage._output_blocks_stats.extend([BlockStats(1, 100, None)] * 3)
    for left in (3, 0):
        forgetting.on_execution_step(SimpleNamespace(_topology=topology))
        assert [len(*stage.get_stats().values()) for stage in topology] == [left, left]


def test_what_is_free_goes_back_to_the_system_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    times, given = iter([0.0, 5.0, 10.0, 12.0, 20.5]), list[float]()
    forgetting = Forgetting(lambda: next(times))
    monkeypatch.setattr("pipeline.forgetting.give_back", lambda: given.append(forgetting._cleared))
    for _ in range(4):
        forgetting.on_execution_step(SimpleNamespace(_topology={}))
    assert given == [10.0, 20.5]


def test_the_engine_cannot_turn_without_end(here: Resources) -> None:
    """With all its rows ready and nobody to take them, it turned 300 times a second: all that its driver could do."""
    flow.flow(PLANNED, Rules("memory://out", "model", AudioRules(), Buckets()), Device("model"), here)
    assert Pacing in DataContext.get_current().custom_execution_callback_classes
    now, slept = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pacing = Pacing(lambda: now[0], sleep)
    for busy in (0.25 * TURN, 0.0, 0.75 * TURN, 5 * TURN, TURN, 0.5 * TURN):
        now[0] += busy
        pacing.on_execution_step(SimpleNamespace())
    assert slept == pytest.approx([0.75 * TURN, TURN, 0.25 * TURN, 0.5 * TURN])


def test_what_lies_about_in_pieces_is_given_back() -> None:
    """Every second of many pieces is freed: the C library gives nothing of it back by itself."""
    pieces = [bytes([number % 250 + 1]) * 40_000 for number in range(4_000)]
    del pieces[::2]
    before = Process().memory_info().rss
    give_back()
    assert before - Process().memory_info().rss > 40 << 20


def test_stages_that_the_engine_makes_one_are_told_from_two(here: Resources) -> None:
    def read(work: pa.Table) -> pa.Table:
        return work

    one = ActorPoolStrategy(size=1)
    made = ray.data.from_blocks(PLANNED).map_batches(read, num_cpus=1.0)
    made = made.map_batches(flow.Listener, fn_constructor_args=(Device("model"),), compute=one, num_cpus=1.0)
    assert list(stages(made)) == ["MapBatches(read)->MapBatches(Listener)"]
    with pytest.raises(AssertionError):
        assert_apart(made)


def test_a_plan_longer_than_a_round_runs_through_and_every_row_comes_once(
    here: Resources, model: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, written = Store(str(tmp_path)), io.BytesIO()
    files = [str(path) for path in sorted(corpus.glob("0[0-4].flac"))]
    write_plan(plan(files, PlanRules(shard_size=2)), written)
    add_generation(store, 1, written.getvalue())
    rounds, whole = [], flow.flow
    monkeypatch.setattr(flow, "flow", lambda work, *given: rounds.append(len(work)) or whole(work, *given))
    rules, few = Rules(store.url, str(model), AudioRules(), Buckets()), replace(here, listeners=(1, 1), begun=1)
    with Lease(store, "run") as lease:
        making = Making("model", "run", 16_000)
        tally = Passes(store, lease, rules, Device(str(model)), few, making, "f", lambda _: None, at_once=2).run()
    assert (rounds, tally.passes, tally.shards) == ([2, 1], 1, 3)
    table = pyarrow.dataset.dataset(tmp_path / "transcripts").to_table()
    assert sorted(Path(uri).name for uri in table["uri"].to_pylist()) == [Path(file).name for file in files]
    assert tally.counts["ok"] + tally.counts["empty"] == 5
