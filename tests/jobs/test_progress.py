"""The line that says how far a run is."""

import io
import logging
from collections import Counter

import pyarrow as pa
import pytest

from jobs import progress
from jobs.journal import journal
from jobs.options import Manner
from jobs.planning import counted
from pipeline.log import STEP, tell
from pipeline.tally import Tally


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def tally(done: float = 250.0) -> Tally:
    return Tally(arrivals=Counter(ok=1_200, failed=3), audio=7_200.0, missing=1_000, done=done)


def test_it_says_counts_hours_speed_and_the_time_left() -> None:
    said = progress.sentence(tally(), elapsed=60.0)
    assert said == "25% | 1,200 ok, 3 failed | 2 h 00 min of audio | 120.0x real time | about 3 min 00 s left"


def test_it_says_what_an_hour_of_audio_costs_where_prices_are_known() -> None:
    dear = tally()
    dear.cost = 0.5
    assert "| 0.25 an hour of audio |" in progress.sentence(dear, elapsed=60.0)
    assert "an hour of audio" not in progress.sentence(tally(), elapsed=60.0)


@pytest.mark.parametrize("done", [0.0, 1_000.0])
def test_the_end_is_not_guessed_before_there_is_ground_for_it_nor_after(done: float) -> None:
    assert "left" not in progress.sentence(tally(done), elapsed=60.0)


def test_elsewhere_than_on_a_terminal_lines_are_plain_and_few() -> None:
    screen = io.StringIO()
    with progress.shown(screen) as watch:
        for number in range(50):
            watch(tally(20.0 * number))
    lines = screen.getvalue().splitlines()
    assert len(lines) == 2
    assert all(line.startswith("steno: ") for line in lines)
    assert "98% |" in lines[-1]
    assert "\r" not in screen.getvalue()


def test_on_a_terminal_one_line_is_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "OFTEN", 0.0)
    monkeypatch.setenv("COLUMNS", "40")
    screen = Terminal()
    with progress.shown(screen) as watch:
        watch(tally(100.0))
        watch(tally())
    first, second = screen.getvalue().split("\r\x1b[K")[1:]
    assert len(first) == 39
    assert first.startswith("#--------- 10% | 1,200 ok")
    assert second.startswith("##-------- 25% | 1,200 ok") and second.endswith("\n")


def test_the_bar_takes_the_room_that_the_figures_leave_and_these_are_shortened_first() -> None:
    said = progress.sentence(tally(), elapsed=60.0)
    assert progress.barred(0.25, said, 200) == f"{'█' * 10}{'░' * 30} {said}"
    assert progress.barred(0.25, said, len(said) + 21) == f"{'█' * 5}{'░' * 15} {said}"
    narrow = "25% | 1,200 ok, 3 failed | 2 h 00 min | 120.0x | 3 min 00 s left"
    assert progress.barred(0.25, said, 79) == f"███{'░' * 11} {narrow}"
    assert progress.barred(1.0, narrow, 30) == f"{'█' * 10} {narrow}"


def steps() -> None:
    tell("looking at the output s3://b/o?X-Amz-Signature=abc", level=STEP)
    tell("written: 3 ok", shard="s-1")
    tell("it breaks off", shard="s-1", level=logging.WARNING)
    tell("planned: 3 recordings", level=STEP)


def test_before_there_are_figures_it_says_what_the_job_is_at() -> None:
    screen = io.StringIO()
    with journal(Manner()), progress.shown(screen) as watch:
        steps()
        watch(tally())
        tell("reading it again", level=STEP)
    assert screen.getvalue().splitlines()[:2] == [
        "steno: looking at the output s3://b/o?X-Amz-Signature=***",
        "steno: planned: 3 recordings",
    ]
    assert "again" not in screen.getvalue()


def test_on_a_terminal_the_steps_are_that_same_line(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Terminal()
    with journal(Manner()), progress.shown(screen):
        steps()
    assert [each.rstrip() for each in screen.getvalue().split("\r\x1b[K")[1:]] == [
        "looking at the output s3://b/o?X-Amz-Signature=*** ...",
        "planned: 3 recordings ...",
    ]
    assert screen.getvalue().count("\n") == 1
    assert capsys.readouterr().err == ""


def test_planning_tells_how_much_it_has_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.planning.EVERY", -1.0)
    shards = [pa.table({"recording_id": pa.array(ids, pa.string())}) for ids in (["a", "b"], [None])]
    screen = io.StringIO()
    with journal(Manner()), progress.shown(screen):
        assert list(counted(shards)) == shards
        assert list(counted([])) == []
    assert screen.getvalue().splitlines() == [
        "steno: planning: 2 recordings so far",
        "steno: planning: 2 recordings and 1 container so far",
        "steno: planned: 2 recordings and 1 container",
    ]
