"""The watcher of the spot market: the notice, and the drain that follows it."""

import sys
from pathlib import Path

import pytest

from infra import spot
from tests.infra.answering import TROUBLES, Answers


def test_the_markets_notice_is_seen_and_its_absence_too(answers: tuple[type[Answers], str]) -> None:
    assert not spot.noticed(answers[1])
    answers[0].notice = True
    assert spot.noticed(answers[1])
    assert not spot.noticed("http://127.0.0.1:9"), "a machine without a market has no notice"


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_market_that_does_not_answer_to_the_end_has_said_nothing(
    trouble: str, answers: tuple[type[Answers], str]
) -> None:
    answers[0].market, answers[0].notice = trouble, True
    assert not spot.noticed(answers[1])
    answers[0].market = ""
    assert spot.noticed(answers[1])


def watched(market: str, folder: Path, monkeypatch: pytest.MonkeyPatch, until: int) -> tuple[int, list[str]]:
    """What the watcher ends with, and how it has called a `ray` that takes the drain at that try."""
    ray, said = folder / "ray", folder / "said"
    ray.write_text(f'#!/bin/sh\necho "$@" >>{said}\n[ $(wc -l <{said}) -ge {until} ]\n')
    ray.chmod(0o755)
    monkeypatch.setattr(spot, "SECONDS", 0.05)
    monkeypatch.setattr(sys, "argv", ["spot", "head:6379", "--market", market, "--ray", str(ray)])
    return spot.main(), said.read_text().splitlines()


def test_a_notice_drains_the_node_though_ray_does_not_take_it_at_once(
    answers: tuple[type[Answers], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers[0].notice = True
    code, said = watched(answers[1], tmp_path, monkeypatch, until=3)
    assert code == 0 and len(said) == 3
    assert said[0].startswith("drain-node --address head:6379 --reason DRAIN_NODE_REASON_PREEMPTION")
    assert said[0].endswith("--deadline-remaining-seconds 100")


def test_a_drain_that_is_never_taken_is_given_up_with_the_machine(
    answers: tuple[type[Answers], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers[0].notice = True
    monkeypatch.setattr(spot, "NOTICE", 0.5)
    code, said = watched(answers[1], tmp_path, monkeypatch, until=10_000)
    assert code == 1 and len(said) > 1
    assert said[-1].endswith("--deadline-remaining-seconds 0")
