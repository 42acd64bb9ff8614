"""Nodes join, drain and die while a run goes on, with pretended GPUs; both pools grow with them, and shrink."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import ray
import soundfile
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2

from jobs import Report, Transcribe, work
from jobs.cli import main
from jobs.exits import FINE
from jobs.transcription import task
from pipeline import bundles
from pipeline.resources import Asked, Resources, resources
from pipeline.tally import Tally
from tests.checkpoints import write_small_speller
from tests.faults.diary import OVER, Diary, slowly
from tests.faults.runs import rows, without_engine

pytestmark = [pytest.mark.ray, pytest.mark.slow]
RECORDINGS = 160


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_speller(tmp_path_factory.mktemp("model"))


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


@dataclass
class Trial:
    """One run on the cluster, and what is done to it meanwhile."""

    monkeypatch: pytest.MonkeyPatch
    model: Path
    corpus: Path
    out: Path

    def run(
        self, pool: tuple[int, int], fate: Callable[[Tally], None], shard_size: int, **other: int
    ) -> tuple[Report, Resources]:
        """Run; every recording is to arrive, once. The resources that it began with are told, too."""
        there = [node["Resources"] for node in ray.nodes()]  # type: ignore[no-untyped-call]
        found = resources(there, Asked("cpu", pool, model_gpus=1.0))

        @contextmanager
        def joined(*_: object, **__: object) -> Iterator[Resources]:
            yield replace(found, listener_memory=1 << 28, reader_memory=1 << 28, **other)

        self.monkeypatch.setattr(work.machines, "cluster", joined)
        self.monkeypatch.setattr(bundles, "RECORDINGS", 1)  # readers wait before every call: one for each shard
        asked = Transcribe(
            (str(self.corpus),), str(self.out), str(self.model), shard_size=shard_size, window=20, batch_seconds=2.0
        )
        report = work.carry_out(asked, task(asked), fate)
        assert report.counts["failed"] == 0
        assert sum(report.counts.values()) == RECORDINGS
        assert main(["verify", str(self.out)]) == FINE
        assert rows(self.out) == without_engine(self.corpus, self.out.parent / "untroubled", shard_size, self.model)
        return report, found


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch, model: Path, corpus: Path, tmp_path: Path) -> Trial:
    return Trial(monkeypatch, model, corpus, tmp_path / "out")


def test_nodes_join_drain_and_die_and_nothing_is_lost(cluster: Cluster, diary: Diary, trial: Trial) -> None:
    first, second = (cluster.add_node(num_cpus=2, num_gpus=1) for _ in range(2))
    names = {first.node_id: "first", second.node_id: "second"}
    diary.beside(2)
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

    _, found = trial.run((1, 3), fate, shard_size=20)
    assert (found.listeners, found.begun) == ((1, 3), 2)
    assert happened == ["third joins", "first drains", "second dies"]
    loads = diary.read()
    begun, then = loads[:2], loads[2]
    assert {names[load.node] for load in begun} == {"first", "second"}
    assert begun[1].began < begun[0].ended, "the models of a pool load side by side"
    assert names[then.node] == "third"
    assert {names[node] for node in diary.left()} == {"first"}


def test_readers_grow_as_cores_join(cluster: Cluster, diary: Diary, trial: Trial) -> None:
    cluster.add_node(num_cpus=2, num_gpus=1)
    (diary.folder / OVER).touch()
    diary.pause(6.0)
    joined: list[str] = []

    def fate(tally: Tally) -> None:
        if not joined and tally.standing.readers == 3:
            joined.append(cluster.add_node(num_cpus=4).node_id)
        elif tally.standing.readers == 7 and set(joined) <= set(diary.readers()):
            diary.pause(0.0)

    report, found = trial.run((1, 1), fate, shard_size=2)
    assert (found.readers, found.most_readers) == (3, 8)
    assert report.readers == 7, "of eight cores: the model has kept its own"
    assert diary.readers().count(*joined) >= 3


def test_a_pool_grows_within_one_load_of_a_model_and_shrinks(cluster: Cluster, diary: Diary, trial: Trial) -> None:
    cluster.add_node(num_cpus=2, num_gpus=1)
    diary.pause(1.5)
    happened: list[str] = []

    def fate(tally: Tally) -> None:
        """Batches come faster than one model hears them, until there are three; then they come slowly."""
        if not happened and len(diary.read()) == 1:
            diary.beside(3)
            for _ in range(2):
                cluster.add_node(wait=False, num_cpus=2, num_gpus=1)
            happened.append("two join")
        elif happened == ["two join"] and tally.standing.running == 3:
            (diary.folder / OVER).touch()
            diary.pause(4.0)
            happened.append("grown")
        elif happened[1:] == ["grown"] and tally.standing.running == 1:
            diary.pause(0.0)
            happened.append("shrunk")

    trial.run((1, 3), fate, shard_size=1, readers=1, most_readers=1)
    assert happened == ["two join", "grown", "shrunk"]
    _, second, third, *_ = diary.read()
    assert third.began < second.ended, "the pool is as large as it may be after one load, not two"
