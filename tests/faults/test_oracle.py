"""What the tests of this folder take for the same table."""

import copy
from collections.abc import Callable

import pytest

from tests.faults.runs import Row, comparable, spoken, without_engine


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    corpus = spoken(tmp_path_factory.mktemp("spoken") / "corpus", 2)
    return without_engine(corpus, tmp_path_factory.mktemp("out"), shard_size=2)


def segment(row: Row) -> dict[str, float]:
    return row["segments"][0]  # type: ignore[index, no-any-return]


def word(row: Row) -> dict[str, float]:
    return segment(row)["words"][0]  # type: ignore[index, no-any-return]


def raised(part: Callable[[Row], dict[str, float]], name: str, by: float) -> Callable[[Row], None]:
    def change(row: Row) -> None:
        part(row)[name] = float(part(row)[name]) + by

    return change


def whole(row: Row) -> dict[str, float]:
    return row  # type: ignore[return-value]


OTHERS = {
    f"{name} of a {part.__name__}": raised(part, name, by)
    for part in (segment, word)
    for name, by in (("start", 0.01), ("end", 0.01), ("confidence", 0.001))
} | {"confidence of a row": raised(whole, "confidence", -0.001), "seconds": raised(whole, "seconds", 0.01)}


@pytest.mark.parametrize("change", OTHERS)
def test_a_row_that_differs_anywhere_is_another(change: str, table: list[Row]) -> None:
    other = copy.deepcopy(table)
    OTHERS[change](other[1])
    assert [comparable(row) for row in other] != table


def test_the_last_digits_of_a_confidence_are_nobodys_business(table: list[Row]) -> None:
    other = copy.deepcopy(table)
    for part in (whole, segment, word):
        raised(part, "confidence", 1e-6)(other[1])
    assert [comparable(row) for row in other] == table
