"""Tables of the user's own names and texts, as a terminal shows them."""

import pytest

from jobs.table import aligned
from pipeline.log import visible


def test_columns_stand_under_one_another_whatever_letters_are_wide() -> None:
    table = aligned([("name", "words"), ("caf\u0065\u0301.wav", "9"), ("\u6e2f.wav", "10")])
    assert table.splitlines() == ["name      words", "cafe\u0301.wav      9", "\u6e2f.wav       10"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("new\nline.flac", r"new\nline.flac"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\u202egnp.wav", r"\u202egnp.wav"),
        ("\udcff.wav", r"\udcff.wav"),
        ("\U0001f399 mit \u00dcbung.m4a", "\U0001f399 mit \u00dcbung.m4a"),
    ],
)
def test_nothing_in_a_name_commands_a_terminal(name: str, shown: str) -> None:
    assert visible(name) == shown
    assert aligned([("recording", "status"), (name, "ok")]).splitlines()[1].startswith(shown)
