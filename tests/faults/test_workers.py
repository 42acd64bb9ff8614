"""Workers that are killed, that die of a recording, or that never come back from one."""

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from jobs.exits import FAILED_ROWS, FINE
from tests.faults.runs import Row, failures, good, rows, shards, spoken, start, until
from tests.faults.work import OPEN, committed, heard, shards_of

pytestmark = [pytest.mark.ray, pytest.mark.slow]
RECORDINGS, SHARD = 24, 2
SEED = int(os.environ.get("STENOPOOL_SEED", "4"))
"""Of what is troubled, and when."""


@pytest.mark.parametrize("stage", ["Reader", "Listener"])
def test_an_actor_that_is_killed_costs_what_it_had_open(
    stage: str, corpus: Path, untroubled: list[Row], tmp_path: Path
) -> None:
    notes, enough = tmp_path / "notes", random.Random(SEED).choice([1, 2])
    troubles, told = "readers are slow,hearing is noted", {"NOTES": str(notes)}
    run = start(corpus, tmp_path / "out", "--shard-size", SHARD, meddle=troubles, environment=told)
    until(lambda: len(shards(tmp_path / "out")) >= enough, run)
    until(lambda: run.workers(stage), run)
    there, done, before = shards(tmp_path / "out"), committed(tmp_path / "out"), Counter(heard(notes))
    for worker in run.workers(stage):
        worker.kill()
    ended = run.end()
    assert ended.code == FINE, ended.err
    assert rows(tmp_path / "out") == untroubled
    assert there.items() <= shards(tmp_path / "out").items()
    said = ended.said()
    assert said["shards"] == RECORDINGS // SHARD > OPEN
    assert int(str(said["passes"])) <= 2, "what was lost is read once more"
    assert not done & (Counter(heard(notes)) - before).keys(), "what is committed is not heard again"
    assert len(shards_of((name for name, times in heard(notes).items() if times > 1), SHARD)) <= OPEN


POISONS = {
    "decoder dies": ("segv", "Crashed", "audio"),
    "decoder devours": ("devours", "OutOfMemory", "audio"),
    "reader dies": ("fells", "Crashed", "inference"),
    "inference dies": ("shoots", "Crashed", "inference"),
    "device is lost": ("wrecks", "Crashed", "inference"),
    "features raise": ("raises", "Crashed", "features"),
    "decoder hangs": ("hangs", "TimedOut", "audio"),
    "inference hangs": ("endless", "Crashed", "inference"),
}
"""What is broken, the word in a recording's name that breaks it, and how its row must say so."""
PATIENCE = ("--model-patience-seconds", 16)


@pytest.mark.parametrize("poison", POISONS)
def test_a_recording_that_kills_or_stalls_its_worker_is_one_row_and_innocents_are_read(
    poison: str, untroubled: list[Row], tmp_path: Path
) -> None:
    word, kind, stage = POISONS[poison]
    corpus = spoken(tmp_path / "corpus", 9, {1: f"-{word}", 6: f"-{word}"})  # nobody is guilty in the second shard
    ended = start(corpus, tmp_path / "out", "--shard-size", 3, *PATIENCE, meddle=poison).end()
    assert ended.code == FAILED_ROWS, ended.err
    found = rows(tmp_path / "out")
    assert {Path(name).stem: said for name, said in failures(found).items()} == {
        f"001-{word}": kind,
        f"006-{word}": kind,
    }
    assert {row["error"]["stage"] for row in found if row["error"]} == {stage}  # type: ignore[index]
    assert [row | {"uri": ""} for row in good(found, word)] == [
        row | {"uri": ""} for row in untroubled[:9] if Path(str(row["uri"])).stem not in {"001", "006"}
    ]
