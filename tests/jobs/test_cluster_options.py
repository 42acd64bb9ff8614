"""What a run is told about its cluster: the size of its pool, what nodes cost, where its metrics are."""

from pathlib import Path

import pytest

from jobs.options import Transcribe
from jobs.settings import read


def asked(pool: str | None = None, price: tuple[str, ...] = (), metrics_port: int | None = None) -> Transcribe:
    return Transcribe(("in",), "out", "model", pool=pool, price=price, metrics_port=metrics_port)


def test_a_pool_is_a_number_or_two_bounds() -> None:
    assert asked().bounds is None
    assert asked("2").bounds == (2, 2)
    assert asked("1-8").bounds == (1, 8)
    assert not asked("1-8").flaws()


@pytest.mark.parametrize("pool", ["0", "8-1", "0-3", "many", "1-", "-2", "1-2-3", "", "2.5"])
def test_a_pool_that_cannot_be_is_told(pool: str) -> None:
    (said,) = asked(pool).flaws()
    assert said.startswith(f"pool is {pool!r}: ") and "1-8" in said


def test_prices_are_names_and_numbers_typed_or_in_a_file(tmp_path: Path) -> None:
    assert asked(price=("cpu=0.04", "spot group = 2.5", "x=.5")).prices == {"cpu": 0.04, "spot group": 2.5, "x": 0.5}
    (tmp_path / "job.yaml").write_text("price:\n  cpu: 0.04\n  gpu: 2.5\n")
    assert read(str(tmp_path / "job.yaml"), ["price"]) == {"price": ["cpu=0.04", "gpu=2.5"]}


def test_every_price_that_cannot_be_read_is_told() -> None:
    wrong = ("gpu", "=3", "a=free", "b=-1", "c=inf", "d=1=2", "")
    said = asked(price=("cpu=1", *wrong)).flaws()
    assert [line.partition(":")[0] for line in said] == [f"price is {each!r}" for each in wrong]


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_that_cannot_be_is_told(port: int) -> None:
    (said,) = asked(metrics_port=port).flaws()
    assert said.startswith(f"metrics_port is {port}: ")
