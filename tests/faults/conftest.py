"""What a module's runs read, and the table that they must make: the module says how much, in RECORDINGS and SHARD."""

from pathlib import Path

import pytest

from tests.faults.runs import Row, spoken, without_engine


@pytest.fixture(scope="module")
def corpus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spoken(tmp_path_factory.mktemp("spoken") / "corpus", request.module.RECORDINGS)


@pytest.fixture(scope="module")
def untroubled(corpus: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return without_engine(corpus, tmp_path_factory.mktemp("untroubled"), request.module.SHARD)
