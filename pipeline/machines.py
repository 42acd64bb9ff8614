"""The machines that a run has: a cluster that is there, or one of this process alone, and what suits it."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from threading import enumerate as enumerate_threads

import ray
import torch
from ray.data import DataContext

from pipeline.loopback import LOCAL, on_loopback, stays_here
from pipeline.prices import CPU, GPU, Names
from pipeline.quiet import quiet, unannounced
from pipeline.resources import SUITABLE, Asked, Resources, resources, settled
from pipeline.vigil import begin, vigil

THREADS, PATIENCE = ("iter_threaded", "StreamingExecutor"), 10.0
"""What the engine calls those that fetch rows and that turn its loop; they end within a tenth of a second."""

NAMES = ("ray.io/node-group", "ray.io/node-type", "node.kubernetes.io/instance-type")
"""Labels by which a cluster's makers tell their nodes apart."""
ANSWERED = 60.0
"""Seconds in which a worker must have said whether torch sees its GPU; one whose GPUs are lent out cannot."""


@contextmanager
def cluster(
    address: str | None = None,
    cpus: int | None = None,
    folder: str | None = None,
    asked: Asked = SUITABLE,
    metrics_port: int | None = None,
) -> Iterator[Resources]:
    """A cluster to run on, with what to ask it for: the one at `address`, or one of this process alone.

    What the engine is told meanwhile of how to go about its work is forgotten with it. `UnfitError` where it cannot
    give what is asked for.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_task_oom_retries", "2")
    quiet()
    with unannounced():
        begin(lambda: _start(address, cpus, folder, metrics_port))
    try:
        with DataContext.current(DataContext.get_current().copy()), vigil():
            there = offers()
            here = address is None or address == LOCAL
            yield resources(there, settled(asked, there, torch.cuda.is_available if here else _worker_sees_gpu))
    finally:
        _let_go()
        ray.shutdown()


def _let_go() -> None:
    """Wait for the engine's threads of a flow that was left: asked for anything behind its end, it ends us, with 1."""
    for thread in enumerate_threads():
        if thread.name.startswith(THREADS):
            thread.join(PATIENCE)


def _start(address: str | None, cpus: int | None, folder: str | None, metrics_port: int | None) -> None:
    with on_loopback() if stays_here(address) else nullcontext():
        if address is None or address == LOCAL:
            ray.init(
                address=LOCAL,
                num_cpus=cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _temp_dir=folder,
                _metrics_export_port=metrics_port,
            )
        else:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)


def offers() -> list[Mapping[str, float]]:
    """What each machine of the cluster has to give."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _worker_sees_gpu() -> bool:
    """Asked where a model would run: this machine need not have a GPU."""
    answer = ray.remote(_sees_gpu).options(num_cpus=0, num_gpus=0.01, max_retries=2).remote()
    try:
        return bool(ray.get(answer, timeout=ANSWERED))
    except ray.exceptions.GetTimeoutError:  # other work has the GPUs, and they are believed to be real
        ray.cancel(answer)
        return True


def _sees_gpu() -> bool:
    return torch.cuda.is_available()


def once(function: Callable[[], str | None], resources: Resources) -> str | None:
    """Call something on a worker that has what a model of the pool has, and wait for what it says."""
    remote = ray.remote(_called).options(
        num_cpus=resources.listener_cpus,
        num_gpus=resources.listener_gpus,
        memory=resources.listener_memory,
        max_retries=2,
    )
    return ray.get(remote.remote(function))


def _called(function: Callable[[], str | None]) -> str | None:
    return function()


def nodes() -> list[Names]:
    """What each node of the cluster may be called: its group's name, its type, and whether it has a GPU."""
    alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return [(*_labels(node["Labels"]), GPU if node["Resources"].get("GPU") else CPU) for node in alive]


def _labels(labels: Mapping[str, str]) -> list[str]:
    return [labels[name] for name in NAMES if labels.get(name)]
