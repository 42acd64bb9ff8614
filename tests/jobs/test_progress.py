"""The line that says how far a run is."""

import io
from collections import Counter

import pytest

from jobs import progress
from pipeline.tally import Tally


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def tally(done: float = 250.0) -> Tally:
    return Tally(arrivals=Counter(ok=1_200, failed=3), heard=7_200.0, missing=1_000, done=done)


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
    assert len(lines) == 3
    assert all(line.startswith("steno: ") for line in lines)
    assert "98% |" in lines[-1]
    assert "\r" not in screen.getvalue()


def test_on_a_terminal_one_line_is_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "OFTEN", 0.0)
    monkeypatch.setenv("COLUMNS", "40")
    screen = Terminal()
    with progress.shown(screen) as watch:
        watch(tally())
    first, *rest = screen.getvalue().split("\r\x1b[K")[1:]
    assert "\n" not in first
    assert rest == [progress.sentence(tally(), 0)[:39] + "\n"] or rest[-1].startswith("25% | 1,200 ok")
    assert max(map(len, screen.getvalue().strip("\n").split("\r\x1b[K"))) == 39
