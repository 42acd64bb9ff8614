"""An engine of this machine alone is out of reach for every other, and asks for what a machine can give."""

import os

import pytest

from pipeline import machines
from pipeline.loopback import stays_here
from pipeline.machines import Resources, resources
from tests.listening import family, is_loopback, listening

GIB = 1 << 30


@pytest.mark.ray
def test_a_local_engine_listens_on_loopback_alone() -> None:
    with machines.cluster(cpus=1):
        places = listening(family(os.getpid()))
    assert len(places) >= 4, "its head, its node and its agents listen somewhere"
    assert [place for place in places if not is_loopback(place[0])] == []


@pytest.mark.parametrize(
    ("address", "here"),
    [
        (None, True),
        ("local", True),
        ("127.0.0.1:6379", True),
        ("localhost:6379", True),
        ("[::1]:6379", True),
        ("auto", False),
        ("10.0.0.7:6379", False),
        ("ray-head:6379", False),
        ("127.0.0.1.example.org:6379", False),
    ],
)
def test_an_address_is_of_this_machine_or_of_others(address: str | None, here: bool) -> None:
    assert stays_here(address) is here


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
    asked = resources([node, node, node], (1, 6))
    assert asked.listeners == (1, 6)
    assert 2 * asked.listener_cpus + asked.reader_cpus <= 2.0


def test_a_machine_that_lends_no_cores_is_left_out() -> None:
    head, worker = {"memory": 1 * GIB}, {"CPU": 4.0, "memory": 16 * GIB}
    assert resources([head, worker]) == resources([worker])


def test_every_gpu_has_a_model() -> None:
    asked = resources([{"CPU": 1.0}, {"CPU": 8.0, "GPU": 1.0}, {"CPU": 8.0, "GPU": 1.0}])
    assert asked.listeners == (2, 2)
    assert asked.listener_gpus == 1.0
    assert asked.readers == 15, "and a core is left for it"
    assert asked.listener_cpus == 0.0, "but not asked for: readers that come back first may hold them all"
