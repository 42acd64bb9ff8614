"""What a job is told of how late a checkpoint writes, how sure it is, and how much words count."""

import pytest

from jobs.options import Incremental, Transcribe, Work
from jobs.options_heads import Align

JOBS = (Transcribe, Incremental, Align)


@pytest.mark.parametrize("job", JOBS)
def test_a_delay_is_part_of_what_decides_a_table_where_it_is_told(job: type[Transcribe | Align]) -> None:
    assert "delay_seconds" not in job(("a",), "out", "model").decisive, "tables that were begun before go on"
    assert job(("a",), "out", "model", delay_seconds=0.0).decisive["delay_seconds"] == 0.0
    assert Transcribe(("a",), "out", "model", temperature=1.5).decisive["temperature"] == 1.5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Align(("a",), "out", "model", delay_seconds=40.0), "delay_seconds is 40.0: it must be from -1 to 1 seconds"),
        (Transcribe(("a",), "out", "model", delay_seconds=-2.0), "delay_seconds is -2.0: it must be"),
        (Transcribe(("a",), "out", "model", temperature=0.0), "temperature is 0.0: it must be more than 0"),
        (Transcribe(("a",), "out", "model", temperature=float("nan")), "temperature is nan: it must be more than 0"),
        (Transcribe(("a",), "out", "model", word_bonus=float("nan")), "word_bonus is nan: it must be a number"),
        (Transcribe(("a",), "out", "model", word_bonus=float("-inf")), "word_bonus is -inf: it must be a number"),
    ],
)
def test_what_cannot_be_meant_is_told(options: Work, said: str) -> None:
    (flaw,) = options.flaws()
    assert flaw.startswith(said)
