"""An engine of this machine alone is out of reach for every other."""

import os

import pytest
import ray
from ray._common.usage import usage_lib

from pipeline import machines
from pipeline.loopback import stays_here
from pipeline.vigil import EngineLostError
from tests.listening import family, is_loopback, listening


@pytest.mark.ray
def test_a_local_engine_listens_on_loopback_alone() -> None:
    with machines.cluster(cpus=1):
        places = listening(family(os.getpid()))
    assert len(places) >= 4, "its head, its node and its agents listen somewhere"
    assert [place for place in places if not is_loopback(place[0])] == []


@pytest.mark.parametrize(("asked", "reported"), [(None, False), ("0", False), ("1", True)])
def test_usage_is_reported_only_where_the_user_asks_for_it(
    asked: str | None, reported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a cluster that is joined: of an engine that it starts itself Ray never reports."""
    found = []

    def join(**_: object) -> None:
        found.append(usage_lib.usage_stats_enabled())
        raise ConnectionError

    monkeypatch.setattr(ray, "init", join)
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    if asked:
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", asked)
    with pytest.raises(EngineLostError), machines.cluster("ray-head:6379"):
        pass
    assert found == [reported]


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
