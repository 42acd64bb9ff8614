"""What a benchmark was to reach and what it reached: a table for people, rows for the JSON, an exit code for `make`."""

import sys
from collections.abc import Sequence
from typing import NoReturn

from jobs.table import aligned

Goal = dict[str, str | bool]
"""What it is about, what it is, what was wanted, and whether that was reached."""


def at_most(goal: str, value: float, wanted: float) -> Goal:
    """Less is better; what could not be measured is missed."""
    return {"goal": goal, "is": f"{value:.2f}", "wanted": f"<= {wanted:g}", "reached": value <= wanted}


def at_least(goal: str, value: float, wanted: float) -> Goal:
    """More is better; what could not be measured is missed."""
    return {"goal": goal, "is": f"{value:.2f}", "wanted": f">= {wanted:g}", "reached": value >= wanted}


def leave(goals: Sequence[Goal]) -> NoReturn:
    """Say them, and end: with 1 where one is missed."""
    rows = [(str(goal["goal"]), str(goal["is"]), str(goal["wanted"]), _said(goal)) for goal in goals]
    if rows:
        print(f"\n{aligned([('goal', 'is', 'wanted', ''), *rows])}", flush=True)
    sys.exit(0 if all(goal["reached"] for goal in goals) else 1)


def _said(goal: Goal) -> str:
    return "reached" if goal["reached"] else "missed"
