"""What the stages ask of machines, by themselves and by hand."""

import logging
from contextlib import nullcontext

import pytest

from pipeline import machines
from pipeline.log import LOG
from pipeline.resources import Asked, Resources, UnfitError, resources, settled

GIB = 1 << 30
CUDA = Asked("cuda")
BOX = [{"CPU": 8.0, "GPU": 2.0, "memory": 32.0 * GIB}]


def test_a_machine_has_a_model_for_every_core_that_has_the_memory() -> None:
    assert resources([{"CPU": 2.0, "memory": 16 * GIB}]) == Resources(listeners=(2, 2), begun=2, listener_cpus=0.75)
    assert resources([{"CPU": 2.0, "memory": 6 * GIB}]).listener_threads == 2
    tight = resources([{"CPU": 16.0, "memory": 32 * GIB}])
    assert (tight.listeners, tight.listener_threads) == ((8, 8), 2)


def test_no_request_is_larger_than_the_smallest_machine() -> None:
    small, large = {"CPU": 1.0, "memory": 2 * GIB}, {"CPU": 8.0, "memory": 32 * GIB}
    asked = resources([small, large, small])
    assert asked.listener_cpus + asked.reader_cpus <= 1.0
    assert asked.listener_memory + asked.reader_memory <= 2 * GIB
    assert asked.listeners == (10, 10)
    assert asked.begun == 10


def test_the_models_that_are_asked_for_are_spread_over_the_machines() -> None:
    node = {"CPU": 2.0, "memory": 8 * GIB}
    asked = resources([node, node, node], Asked(pool=(1, 6)))
    assert asked.listeners == (1, 6)
    assert 2 * asked.listener_cpus + asked.reader_cpus <= 2.0


def test_a_machine_that_lends_no_cores_is_left_out() -> None:
    head, worker = {"memory": 1 * GIB}, {"CPU": 4.0, "memory": 16 * GIB}
    assert resources([head, worker]) == resources([worker])


def test_every_gpu_has_a_model() -> None:
    asked = resources([{"CPU": 1.0}, {"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0, "GPU": 1.0}], CUDA)
    assert asked.listeners == (2, 2)
    assert asked.listener_gpus == 1.0
    assert asked.readers == 15, "and a core is left for it"
    assert asked.listener_cpus == 0.0, "but not asked for: readers that come back first may hold them all"


@pytest.mark.parametrize(
    ("there", "pool", "expected"),
    [
        ({"CPU": 64, "GPU": 4}, None, (4, 4, 4)),
        ({"CPU": 64, "GPU": 4}, (1, 8), (1, 8, 4)),
        ({"CPU": 64, "GPU": 4}, (2, 2), (2, 2, 2)),
        ({"CPU": 64, "GPU": 4}, (6, 6), (6, 6, 6)),
        ({"CPU": 16}, None, (16, 16, 16)),
        ({"CPU": 16}, (1, 3), (1, 3, 3)),
    ],
)
def test_a_pool_begins_with_as_many_models_as_have_room(
    there: dict[str, float], pool: tuple[int, int] | None, expected: tuple[int, int, int]
) -> None:
    found = resources([{**there, "memory": 64 * GIB}], Asked("cuda" if "GPU" in there else "cpu", pool))
    assert (*found.listeners, found.begun) == expected


@pytest.mark.parametrize(
    ("device", "gpus", "usable", "expected"),
    [
        ("auto", 1.0, True, "cuda"),
        ("auto", 1.0, False, "cpu"),
        ("auto", 0.0, True, "cpu"),
        ("cuda", 1.0, True, "cuda"),
        ("cpu", 1.0, True, "cpu"),
    ],
)
def test_models_run_on_gpus_where_the_cluster_has_any_that_can_be_used(
    device: str, gpus: float, usable: bool, expected: str
) -> None:
    assert settled(Asked(device), [{"CPU": 1.0}, {"GPU": gpus}], lambda: usable).device == expected


@pytest.mark.parametrize(
    ("gpus", "said"), [(0.0, "no machine of the cluster has a GPU"), (1.0, "torch cannot use the cluster's GPUs")]
)
def test_a_gpu_that_was_asked_for_and_is_not_there_is_told(gpus: float, said: str) -> None:
    with pytest.raises(UnfitError, match=f"device is 'cuda', and {said}"):
        settled(CUDA, [{"CPU": 8.0, "GPU": gpus}], lambda: False)


def test_a_gpu_that_lies_idle_is_told(caplog: pytest.LogCaptureFixture) -> None:
    LOG.addHandler(caplog.handler)
    try:
        settled(Asked(), BOX, lambda: False)
    finally:
        LOG.removeHandler(caplog.handler)
    assert [(record.levelno > logging.WARNING, "torch cannot use" in record.message) for record in caplog.records] == [
        (True, True)
    ]


def test_a_model_on_the_processor_holds_no_gpu_and_has_the_cores_of_its_machine() -> None:
    found = resources(BOX, Asked("cpu"))
    assert (found.device, found.listener_gpus, found.listeners, found.batch_seconds) == ("cpu", 0.0, (8, 8), 40.0)
    assert found == resources([{"CPU": 8.0, "memory": 32.0 * GIB}], Asked("cpu"))


def test_a_gpu_can_be_asked_for_and_not_used() -> None:
    found = resources(BOX, Asked("cpu", model_gpus=1.0))
    assert (found.device, found.listener_gpus, found.listeners, found.batch_seconds) == ("cpu", 1.0, (2, 2), 40.0)


def test_a_gpu_has_large_batches_and_as_many_models_as_share_it() -> None:
    found = resources(BOX, Asked("cuda", model_gpus=0.5))
    assert (found.device, found.listener_gpus, found.listeners, found.batch_seconds) == ("cuda", 0.5, (4, 4), 160.0)


def test_a_window_has_batches_for_every_model_that_its_reader_feeds() -> None:
    assert Resources(begun=2, readers=1).batches == 16
    assert Resources(begun=1, readers=8).batches == 8
    assert Resources(begun=9, readers=4).batches == 24


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_whatever_is_asked_for_by_hand_is_what_is_asked_for(device: str) -> None:
    by_hand = Asked(device, (1, 2), readers=3, reader_cpus=1.5, reader_memory=7 * GIB, model_cpus=2.5, model_memory=GIB)
    found = resources(BOX, by_hand)
    assert (found.readers, found.reader_cpus, found.reader_memory) == (3, 1.5, 7 * GIB)
    assert (found.listeners, found.listener_cpus, found.listener_memory) == ((1, 2), 2.5, GIB)
    assert found.listener_threads == 3


@pytest.mark.parametrize(
    ("by_hand", "said"),
    [
        (Asked("cpu", reader_memory=64 * GIB), "a reader asks for 0.5 cores, 68,719,476,736 bytes of memory"),
        (Asked("cpu", model_cpus=9.0), "a model asks for 9 cores"),
        (Asked("cuda", model_gpus=4.0), "a model asks for 4 GPUs"),
        (Asked("cpu", reader_cpus=8.5), "a reader asks for 8.5 cores"),
    ],
)
def test_a_request_that_no_machine_can_give_is_told_and_not_waited_for(by_hand: Asked, said: str) -> None:
    with pytest.raises(UnfitError, match=r"no machine of the cluster has them together") as told:
        resources([*BOX, {"CPU": 1.0, "memory": 1.0 * GIB}], by_hand)
    assert str(told.value).startswith(said)


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that was never started, of one machine with GPUs."""
    monkeypatch.setattr(machines, "begin", lambda _: None)
    monkeypatch.setattr(machines, "vigil", nullcontext)
    monkeypatch.setattr(machines, "offers", lambda: BOX)


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize(
    ("address", "here", "there", "device"),
    [
        (None, True, False, "cuda"),
        (None, False, True, "cpu"),
        ("head:6379", False, True, "cuda"),
        ("head:6379", True, False, "cpu"),
    ],
)
def test_torch_is_asked_where_the_models_will_be(
    address: str | None, here: bool, there: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: here)
    monkeypatch.setattr(machines, "_worker_sees_gpu", lambda: there)
    with machines.cluster(address) as found:
        assert (found.device, found.listener_gpus) == (device, float(device == "cuda"))
