"""The list of what is guarded names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = ROOT / "infra" / "SECURITY.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)?::(test_\w+)`")


def test_every_point_of_the_list_has_a_test_that_exists() -> None:
    rows = [line for line in LIST.read_text().splitlines() if line.startswith("|")][2:]
    assert len(rows) >= 13
    for row in rows:
        named, file = NAMED.findall(row), ""
        assert named, f"no test holds: {row}"
        for path, name in named:
            file = path or file
            assert f"def {name}(" in (ROOT / file).read_text(), f"{file} has no {name}"
