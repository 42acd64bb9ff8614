"""What a run is told about its cluster: the size of its pool, what nodes cost, where its metrics are."""

from pathlib import Path
from typing import NoReturn

import pytest

from jobs import SetupError, transcribe
from jobs.options import Transcribe
from jobs.settings import read
from pipeline import machines
from pipeline.resources import Asked, UnfitError
from tests.checkpoints import write_small_speller
from tests.pipeline.corpora import clip, written


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


def test_a_port_for_metrics_is_this_machines_alone() -> None:
    (said,) = Transcribe(("in",), "out", "model", address="head:6379", metrics_port=9090).flaws()
    assert said == "metrics_port is 9090: the nodes of head:6379 have ports of their own already"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("readers", 0),
        ("cpus", 0),
        ("reader_cpus", 0.0),
        ("model_patience_seconds", 0.0),
        ("reader_memory", 0),
        ("model_cpus", -1.0),
        ("model_gpus", -0.5),
        ("model_gpus", 1.5),
        ("model_memory", 0),
    ],
)
def test_a_request_that_cannot_be_is_told(name: str, value: float) -> None:
    (said,) = Transcribe(("in",), "out", "model", **{name: value}).flaws()  # type: ignore[arg-type]
    assert said.startswith(f"{name} is {value}: ")


def test_a_model_on_a_gpu_cannot_ask_for_none() -> None:
    (said,) = Transcribe(("in",), "out", "model", device="cuda", model_gpus=0).flaws()
    assert said.startswith("model_gpus is 0 and device is 'cuda'")
    assert not Transcribe(("in",), "out", "model", device="cpu", model_gpus=0).flaws()


def test_the_cluster_is_asked_for_what_was_said_and_what_it_cannot_give_is_a_wrong_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    write_small_speller(model)
    heard: list[Asked] = []

    def unfit(*_: object, asked: Asked, metrics_port: int | None) -> NoReturn:
        assert metrics_port is None
        heard.append(asked)
        raise UnfitError("a reader asks for much\na model asks for more")

    monkeypatch.setattr(machines, "cluster", unfit)
    corpus = written(tmp_path / "in", {"a.wav": clip(1)})
    sizes = {"readers": 3, "reader_cpus": 1.5, "reader_memory": 5, "model_cpus": 2.5, "model_gpus": 0.5}
    options = Transcribe(
        (str(corpus),), str(tmp_path / "out"), str(model), device="cpu", pool="1-2", model_memory=7, **sizes  # type: ignore[arg-type]
    )  # fmt: skip
    with pytest.raises(SetupError) as told:
        transcribe(options)
    assert told.value.problems == ("a reader asks for much", "a model asks for more")
    assert heard == [Asked("cpu", (1, 2), 3, 1.5, 5, 2.5, 0.5, 7)]
