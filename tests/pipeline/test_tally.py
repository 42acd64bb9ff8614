"""What a run counts of itself, and what a watcher is told of it."""

import pyarrow as pa
import pytest
import torch

from models import SpeechModel
from models.protocol import Padded, Refused
from pipeline import gauges
from pipeline.batches import HEARD, Ready, folded, pack, unfolded
from pipeline.decoding import SILENT, Fields
from pipeline.gauges import GAUGES, Gauge
from pipeline.inference import Device, Listener
from pipeline.tally import Standing, Tally, Told
from pipeline.tasks import Row, Transcription
from tests.models.reference import published

RATE = 16_000
KEY = {"shard": "s", "ordinal": 0, "index": 0, "start": 0, "samples": RATE}


class Board:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.sums: dict[tuple[str, str], float] = {}
        self.calls: list[tuple[str, str, float]] = []

    def __call__(self, gauge: Gauge, value: float, tag: str = "") -> None:
        self.calls.append((gauge.name, tag, value))
        here = self.sums.get((gauge.name, tag), 0.0)
        self.sums[gauge.name, tag] = value if gauge.kind == "level" else here + value


class Narrow(Transcription):
    """Memory for two clips."""

    def hear(self, model: SpeechModel, batch: Padded, owners: tuple[Row, ...]) -> list[Fields | Refused]:  # type: ignore[override]
        if len(owners) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [SILENT for _ in owners]


def listener(task: Transcription) -> Listener:
    return Listener(Device(str(published("lasr-ctc").folder), task=task))


def batch(clips: int, frames: int = 100, retries: int = 0, reading: float = 0.0) -> pa.Table:
    inputs = torch.randn(frames, 128).numpy()
    return pack([Ready({**KEY, "ordinal": number}, inputs, 1.0) for number in range(clips)], retries, reading)


def test_a_batch_says_once_what_it_took() -> None:
    hears = listener(Narrow())
    effort = hears(batch(5, retries=3, reading=1.5))["effort"].to_pylist()
    assert effort[1:] == [None] * 4
    assert effort[0]["heard"] == 1
    assert effort[0]["retries"] == 3
    assert effort[0]["reading"] == 1.5
    assert effort[0]["splits"] == 2, "five clips in halves of two and three, three in halves of one and two"
    assert effort[0]["busy"] > 0 and effort[0]["idle"] >= 0
    assert hears(batch(2))["effort"][0].as_py()["splits"] == 0, "a later batch does not repeat it"


def test_a_batch_without_anything_to_hear_is_no_batch() -> None:
    silent = listener(Narrow())(pack([Ready(KEY, None)]))
    assert silent["effort"][0].as_py()["heard"] == 0


def test_time_between_two_batches_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, 110.0, 111.0, 131.0, 135.0])
    monkeypatch.setattr("pipeline.inference.time.monotonic", lambda: next(times))
    hears = listener(Narrow())
    tally = Tally()
    for _ in range(2):
        tally.take(hears(batch(1)), RATE)
    assert (tally.idle, tally.busy) == (10.0 + 20.0, 1.0 + 4.0)
    assert tally.idle_share == pytest.approx(30 / 35)


def heard(seconds: float, padding: float, effort: dict[str, float] | None) -> pa.Table:
    key = {**KEY, "fresh": int(0.75 * seconds * RATE)}
    row = {"key": key, "seconds": seconds, "padding": padding, "effort": effort}
    return pa.Table.from_pylist([row, {**row, "effort": None}], HEARD)


def test_a_watcher_is_told_every_gauge_and_its_sums_are_the_tally() -> None:
    tally, board = Tally(missing=100), Board()
    told = Told(board)
    for turn in range(3):
        effort = {"heard": 1, "busy": 2.0, "idle": 1.0, "splits": 1, "retries": 2, "reading": 0.5}
        tally.take(heard(10.0, 0.2, effort), RATE)
        tally.arrivals.update(ok=1, failed=turn)
        tally.shards, tally.retries, tally.cost = turn + 1, turn, 0.5 * turn
        tally.open, tally.done, tally.standing = 7 - turn, 10.0 * turn, Standing(5, 2, 1)
        tally.commits.append(0.1)
        told(tally)
    assert {name for name, _ in board.sums} == {gauge.name for gauge in GAUGES}
    assert board.sums[gauges.AUDIO.name, ""] == tally.audio == 45.0
    assert board.sums[gauges.HEARD.name, ""] == tally.heard == 60.0
    assert tally.hourly_cost == 3600 * tally.cost / 45.0, "an hour of audio costs the same however often it is heard"
    assert board.sums[gauges.ROOM.name, ""] == pytest.approx(tally.room)
    assert board.sums[gauges.BATCHES.name, ""] == tally.batches == 3
    assert board.sums[gauges.RECORDINGS.name, "ok"] == 3
    assert board.sums[gauges.RECORDINGS.name, "failed"] == 3
    assert board.sums[gauges.RETRIES.name, "shard"] == 2
    assert board.sums[gauges.RETRIES.name, "request"] == tally.repeats == 6
    assert board.sums[gauges.OPEN.name, ""] == 5
    assert board.sums[gauges.SHARE.name, ""] == pytest.approx(0.2)
    assert board.sums[gauges.QUEUE.name, ""] == 5
    assert board.sums[gauges.COST.name, ""] == 1.0
    assert [call for call in board.calls if call[0] == gauges.COMMIT.name] == [(gauges.COMMIT.name, "", 0.1)] * 3


def test_what_was_heard_in_a_batch_travels_as_one_row() -> None:
    heard = listener(Transcription())(batch(3))
    assert len(folded(heard)) == 1
    assert unfolded(folded(heard)).equals(heard)
    assert unfolded(pa.concat_tables([folded(heard), folded(heard)])).num_rows == 6
