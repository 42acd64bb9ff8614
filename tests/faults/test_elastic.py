"""Nodes join, drain and die while a run goes on, on three and then two nodes with pretended GPUs."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow.dataset
import pytest
import ray
import soundfile
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2

from jobs import Transcribe, work
from jobs.cli import main
from jobs.exits import FINE
from jobs.transcription import task
from pipeline.resources import Asked, Resources, resources
from pipeline.tally import Tally
from tests.checkpoints import CONFIGS, write_random
from tests.clips import make_clips
from tests.faults.runs import rows, without_engine

pytestmark = [pytest.mark.ray, pytest.mark.slow]
RECORDINGS, LOADING, HEARING = 160, 6.0, 3.0
"""The models of this test take seconds to load and, until everything has happened, to hear a batch."""
OVER = "over"


@dataclass(frozen=True)
class Load:
    """A model that was loaded."""

    began: float
    ended: float
    node: str


@dataclass
class Diary:
    """What workers write down about themselves."""

    folder: Path
    loads: list[Load] = field(default_factory=list)

    def read(self) -> list[Load]:
        found = [json.loads(path.read_text()) for path in self.folder.glob("load-*") if path.stat().st_size]
        return sorted((Load(*each) for each in found), key=lambda load: load.began)

    def left(self) -> list[str]:
        """Nodes that a worker left when they drained."""
        return [path.read_text() for path in self.folder.glob("left-*")]


def slowly(folder: str) -> Callable[[], None]:
    """For each worker of the cluster: loading and hearing take their time and are written down."""

    def prepare() -> None:
        from pipeline import inference, leaving

        load_model, call, kill = inference.load_model, inference.Listener.__call__, os.kill

        def load(*given: object, **named: object) -> object:
            began, node = time.time(), ray.get_runtime_context().get_node_id()
            time.sleep(LOADING)
            made = load_model(*given, **named)  # type: ignore[arg-type]
            Path(folder, f"load-{os.getpid()}").write_text(json.dumps([began, time.time(), node]))
            return made

        def hear(self: inference.Listener, batch: object) -> object:
            heard, until = call(self, batch), time.time() + HEARING
            while time.time() < until and not Path(folder, OVER).exists():
                time.sleep(0.05)
            return heard

        def leave(process: int, number: int) -> None:
            Path(folder, f"left-{process}").write_text(ray.get_runtime_context().get_node_id())
            kill(process, number)

        inference.load_model = load  # type: ignore[assignment]
        inference.Listener.__call__ = hear  # type: ignore[assignment,method-assign]
        leaving.end = leave

    return prepare


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_random("HubertForCTC", CONFIGS["HuBERT"], make_clips(16_000, seed=0).good[0], folder)
    (folder / "vocab.json").write_text(json.dumps({"<pad>": 0, "|": 1} | {chr(97 + i): i + 2 for i in range(22)}))
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, noise = tmp_path_factory.mktemp("corpus"), np.random.default_rng(7)
    for number in range(RECORDINGS):
        soundfile.write(folder / f"{number:03}.wav", noise.normal(0, 0.1, 16_000), 16_000)
    return folder


@pytest.fixture
def cluster(diary: Diary) -> Iterator[Cluster]:
    """A head without GPUs; nodes are added by the tests."""
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 0, "include_dashboard": False})
    runtime = {"worker_process_setup_hook": slowly(str(diary.folder))}
    ray.init(nodes.address, logging_level=logging.ERROR, log_to_driver=False, runtime_env=runtime)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    (tmp_path / "diary").mkdir()
    return Diary(tmp_path / "diary")


def drain(cluster: Cluster, node: str) -> None:
    """The notice that a spot node gets: two minutes, say."""
    reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    until = int((time.time() + 120) * 1000)
    accepted, why = ray._raylet.GcsClient(address=cluster.address).drain_node(node, reason, "spot", until)
    assert accepted, why


def test_nodes_join_drain_and_die_and_nothing_is_lost(
    cluster: Cluster, diary: Diary, model: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (cluster.add_node(num_cpus=2, num_gpus=1) for _ in range(2))
    names = {first.node_id: "first", second.node_id: "second"}

    @contextmanager
    def joined(*_: object, **__: object) -> Iterator[Resources]:
        found = resources([node["Resources"] for node in ray.nodes()], Asked("cpu", (1, 3), model_gpus=1.0))  # type: ignore[no-untyped-call]
        assert (found.listeners, found.begun) == ((1, 3), 2)
        yield replace(found, readers=1, listener_memory=1 << 28, reader_memory=1 << 28)

    happened: list[str] = []

    def fate(tally: Tally) -> None:
        """One blow after the other, each when the one before has been digested."""
        arrived, loads = sum(tally.arrivals.values()), [names.get(load.node) for load in diary.read()]
        if not happened and arrived >= 6 and len(loads) == 2:
            names[cluster.add_node(num_cpus=2, num_gpus=1).node_id] = "third"
            happened.append("third joins")
        elif happened == ["third joins"] and "third" in loads:
            drain(cluster, first.node_id)
            happened.append("first drains")
        elif happened[1:] == ["first drains"] and diary.left():
            cluster.remove_node(second, allow_graceful=False)
            happened.append("second dies")
            (diary.folder / OVER).touch()

    monkeypatch.setattr(work.machines, "cluster", joined)
    out = tmp_path / "out"
    asked = Transcribe((str(corpus),), str(out), str(model), shard_size=20, window=20, batch_seconds=2.0)
    report = work.carry_out(asked, task(asked), fate)
    assert happened == ["third joins", "first drains", "second dies"]
    assert report.counts["failed"] == 0
    assert sum(report.counts.values()) == RECORDINGS
    assert main(["verify", str(out)]) == FINE
    loads = diary.read()
    begun, then = loads[:2], loads[2]
    assert {names[load.node] for load in begun} == {"first", "second"}
    assert begun[1].began < begun[0].ended, "the models of a pool load side by side"
    assert names[then.node] == "third"
    assert {names[node] for node in diary.left()} == {"first"}
    ids = pyarrow.dataset.dataset(out / "transcripts").to_table(columns=["recording_id"])["recording_id"].to_pylist()
    assert len(set(ids)) == len(ids) == RECORDINGS
    assert rows(out) == without_engine(corpus, tmp_path / "untroubled", 20, model)
