"""A goal that is missed is said, kept and told by the exit code; the other parts of `make bench` run all the same."""

import math
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.benchmarks import pipeline, scale, searches, times, writers
from tests.benchmarks.goals import Goal, at_least, at_most, leave
from tests.benchmarks.pipeline import Measured, Told
from tests.benchmarks.scale import Size
from tests.benchmarks.searches import BEST, LAID, MODEL, QUIET, WRITTEN, Cost
from tests.benchmarks.times import Errors, Honesty, Report
from tests.benchmarks.writers import Line

PARTS = ["models", "writers", "times", "searches", "pipeline", "scale"]
SHARES = {MODEL: 1.0, BEST: 0.006, QUIET: 0.004, WRITTEN: 0.01, "a beam of 10": 0.9, LAID: 0.046}
"""Of the model's time: as much as may be."""
LINE = Line("small", 8, 5, 80.0, 59.0, [1.0], [4.0], 4.0, [4.0], 80.0, 8, 600, 700)
SECONDS = {"script": 200.0, "ray": 216.0, "ours": 50.0, "limit": 46.5}
SIZE = Size(1_000, 1, 1.0, 1.0, 1.0, 1_000.0, 500 << 20, 400 << 20, 1.0, 0)
NEAR, FAR = Errors(100, 39.0, 79.0, 40.0, 80.0), Errors(100, 119.0, 300.0, 110.0, 300.0)
SPELLER = Report("speller", 9, 0.1, 0.1, 5.0, NEAR, NEAR, FAR, [Honesty(1.0, 0.1, [])])


def missed(goals: list[Goal]) -> list[str]:
    return [str(goal["goal"]) for goal in goals if not goal["reached"]]


def costs(**shares: float) -> list[Cost]:
    return [Cost(what, 1000 * share, share) for what, share in (SHARES | shares).items()]


def sides(padding: float = 0.03, **seconds: float) -> list[Measured]:
    return [Measured(side, Told(took, 1.0, padding), 100) for side, took in (SECONDS | seconds).items()]


@pytest.mark.parametrize(
    ("what", "share", "judged"),
    [(BEST, 0.007, [0]), (WRITTEN, 0.011, [0]), (QUIET, 0.005, [0, 1]), (LAID, 0.047, [1]), (LAID, math.nan, [1])],
)
def test_words_may_cost_so_much_beside_the_model(what: str, share: float, judged: list[int]) -> None:
    assert missed(searches.reached(costs())) == []
    found = searches.reached(costs(**{what: share}))
    assert [place for place, goal in enumerate(found) if not goal["reached"]] == judged


def test_texts_are_written_four_times_as_fast_by_every_model() -> None:
    assert missed(writers.reached([LINE])) == []
    assert missed(writers.reached([LINE, replace(LINE, model="trained", ratio=3.99)])) == [
        "trained: their time over ours"
    ]


def test_a_run_is_so_much_faster_than_what_people_have_and_nearly_as_fast_as_its_model() -> None:
    assert missed(pipeline.reached(sides())) == []
    assert missed(pipeline.reached(sides(script=199.0))) == ["script: its time over ours"]
    assert missed(pipeline.reached(sides(ray=199.0))) == ["ray: its time over ours"]
    assert missed(pipeline.reached(sides(ray=349.0, script=350.0), "bfloat16")) == ["ray: its time over ours"]
    assert missed(pipeline.reached(sides(limit=46.0))) == ["our time over the model's alone"]
    assert missed(pipeline.reached(sides(padding=0.031))) == ["% of padding"]
    assert len(pipeline.reached(sides()[2:3])) == 1, "only what was measured is judged"
    assert pipeline.reached(sides()[:2]) == []


def test_words_are_so_near_to_where_they_are_said() -> None:
    writer = replace(SPELLER, checkpoint="writer", read=FAR, aligned=None)
    assert missed(times.reached([SPELLER, writer])) == []
    late, wide = replace(NEAR, end_median=41.0), replace(NEAR, start_95th=81.0)
    assert missed(times.reached([replace(SPELLER, read=late)])) == ["speller, read: median"]
    assert missed(times.reached([replace(SPELLER, aligned=wide)])) == ["speller, aligned: 95th"]
    assert missed(times.reached([replace(writer, read=replace(FAR, start_median=121.0))])) == ["writer: median"]


def test_a_million_cost_no_more_each_than_a_few() -> None:
    large = replace(SIZE, recordings=64_000, per_second=950.0, driver_peak=SIZE.driver_peak + 100 * 63_000)
    assert missed(scale.reached([SIZE, large], {"seconds": 60.0}, 5_000)) == []
    for worse in ({"per_second": 900.0}, {"driver_peak": large.driver_peak + 63_000}, {"spilled": 1}):
        assert len(missed(scale.reached([SIZE, replace(large, **worse)], {"seconds": 60.0}, 5_000))) == 1
    assert len(missed(scale.reached([SIZE, large], {"seconds": 61.0}, 4_900))) == 2


@pytest.mark.parametrize(("value", "status"), [(2.0, 0), (2.1, 1), (math.nan, 1)])
def test_the_exit_code_tells_a_missed_goal(value: float, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    goals = [at_most("seconds", value, 2), at_least("speed", 4.0, 4)]
    with pytest.raises(SystemExit) as left:
        leave(goals)
    assert left.value.code == status
    told = [line.split()[-1] for line in capsys.readouterr().out.splitlines()[2:]]
    assert told == ["missed" if status else "reached", "reached"]


@pytest.mark.parametrize("failing", [[], ["times"], ["models", "scale"]])
def test_every_part_of_the_bench_runs_whatever_the_others_reach(failing: list[str], tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\necho "ran $2 $3"\ncase " {" ".join(failing)} " in *" ${{2##*.}} "*) exit 1;; esac\n')
    python.chmod(0o755)
    (tmp_path / ".ready").touch()
    command = ["make", "-C", str(Path(__file__).parents[2]), "-o", f"{tmp_path}/.ready", "bench", f"VENV={tmp_path}"]
    alone = {"PATH": os.environ["PATH"]}
    done = subprocess.run([*command, "SCALE=--nodes"], capture_output=True, text=True, check=False, env=alone)
    ran = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("ran ")]
    wanted = [[f"tests.benchmarks.{part}"] for part in PARTS]
    wanted[-1:] = [["tests.benchmarks.pipeline", "--dtype"], [*wanted[-1], "--nodes"]]
    assert ran == wanted
    assert (done.returncode == 0) == (not failing)
    assert (f"not measured: {' '.join(failing)}" in done.stdout) == bool(failing)
