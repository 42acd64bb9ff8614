"""A store of each kind."""

from pathlib import Path
from uuid import uuid4

import pytest

from pipeline.storage import Store


@pytest.fixture(params=["disk", "memory", "moto", pytest.param("rgw", marks=pytest.mark.s3)])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty folder of each kind of storage."""
    if request.param == "disk":
        return str(tmp_path / "out")
    if request.param == "memory":
        return f"memory://{uuid4().hex}"
    return f"{request.getfixturevalue('moto_s3' if request.param == 'moto' else 'rgw')}/out"


@pytest.fixture
def store(root: str) -> Store:
    """A store in that folder."""
    return Store(root)


@pytest.fixture
def disk(tmp_path: Path) -> Store:
    """A store on this machine's disk."""
    return Store(str(tmp_path / "out"))
