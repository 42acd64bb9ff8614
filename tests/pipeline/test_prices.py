"""What a run costs, on a cluster whose nodes come and go."""

import pytest

from pipeline import machines, prices
from pipeline.log import NOTICE
from pipeline.prices import Bill, Prices
from pipeline.tally import Tally


def test_a_node_costs_what_its_most_telling_name_costs() -> None:
    found = Prices({"cpu": 0.04, "gpu": 2.5, "spot-gpu": 0.9})
    assert found.of(("gpu",)) == 2.5
    assert found.of(("spot-gpu", "gpu")) == 0.9
    assert found.of(("a-group-without-a-price", "cpu")) == 0.04
    assert found.of(("tpu",)) is None
    assert found.unpriced([("cpu",), ("tpu-group", "tpu"), ("tpu-group", "tpu")]) == {"tpu-group"}
    assert Prices({}).unpriced([("cpu",)]) == set(), "without prices nobody asks"
    assert found.together([("cpu",), ("spot-gpu", "gpu"), ("gpu",)]) == pytest.approx(3.44)


@pytest.mark.ray
@pytest.mark.parametrize("group", ["spot-cpu", None])
def test_a_node_is_called_by_its_group_and_by_what_it_is(group: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `ray up` and KubeRay tell a node which group it is of."""
    monkeypatch.setenv("RAY_NODE_TYPE_NAME", group or "")
    with machines.cluster(cpus=1):
        (names,) = machines.nodes()
    assert names == ((group, "cpu") if group else ("cpu",))
    assert Prices({"cpu": 0.04, "spot-cpu": 0.01}).together([names]) == (0.01 if group else 0.04)


def test_a_node_is_paid_for_while_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, there = [20.0], [("cpu",)]
    monkeypatch.setattr(prices.time, "monotonic", lambda: clock[0])
    bill, tally = Bill(Prices({"cpu": 1.0, "gpu": 10.0}), lambda: list(there), began=20.0), Tally()

    def after(seconds: float) -> float:
        clock[0] += seconds
        bill(tally)
        return tally.cost * 3600

    assert after(1.0) == pytest.approx(1.0)
    there.append(("gpu",))
    assert after(9.0) == pytest.approx(10.0), "what stood at the last look is paid until this one"
    assert after(10.0) == pytest.approx(120.0)
    there.remove(("gpu",))
    assert after(10.0) == pytest.approx(230.0)
    assert after(10.0) == pytest.approx(240.0)


def test_what_is_there_at_first_is_paid_from_the_beginning_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices.time, "monotonic", lambda: 100.0)
    bill, tally = Bill(Prices({"cpu": 1.0}), lambda: [("cpu",)], began=88.0), Tally()
    bill(tally)
    assert tally.cost * 3600 == pytest.approx(12.0)


def test_a_node_without_a_price_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told = [0.0], list[str]()

    def tell(message: str, *, level: int) -> None:
        assert level == NOTICE
        told.append(message)

    monkeypatch.setattr(prices.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(prices, "tell", tell)
    bill, tally = Bill(Prices({"gpu": 2.5}), lambda: [("cpu",), ("cpu",), ("gpu",)], 0.0), Tally()
    for _ in range(3):
        clock[0] += 10
        bill(tally)
    assert tally.cost * 3600 == pytest.approx(2.5 * 30)
    assert told == ["no price is for a node called cpu: it counts as free (--price cpu=0.5, say)"]
