"""Whatever order rows arrive in, and however often, a shard is whole when all of it is there, and not before."""

import random

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batches import HEARD
from pipeline.gathering import Gathering, Whole
from pipeline.schema import Failure
from pipeline.stitching import Making

Row = dict[str, object]
MAKING = Making("model", "run", 100)


def row(ordinal: int, index: int, last: int, channel: int | None = None, channels: int = 1, **more: object) -> Row:
    key = {
        "shard": "s",
        "ordinal": ordinal,
        "recording_id": f"r{ordinal}",
        "uri": f"r{ordinal}",
        "channel": channel,
        "channels": channels,
        "index": index,
        "last": index == last,
        "start": index * 100,
        "core_begin": index * 100,
        "core_end": (index + 1) * 100,
        "total": (index + 1) * 100,
        "reference": "said" if index == 0 else None,
    } | more
    word = {"word": f"w{index}", "start": index * 100 + 10, "end": index * 100 + 40, "confidence": 0.5}
    return {"key": key, "text": f"w{index}", "words": [word], "seconds": 1.0, "padding": 0.0}


def census(count: int) -> Row:
    return {"key": {"shard": "s", "census": count}, "seconds": 0.0, "padding": 0.0}


def take(gathering: Gathering, rows: list[Row]) -> list[Whole]:
    return list(gathering.take(pa.Table.from_pylist(rows, HEARD)))


def failure(kind: str) -> dict[str, str]:
    return {"class": kind, "stage": "audio", "message": "why", "status": "failed"}


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.integers(1, 2), st.randoms(use_true_random=False))
def test_rows_in_any_order_and_twice_make_the_same_table(
    lasts: list[int], channels: int, chance: random.Random
) -> None:
    numbers = [None] if channels == 1 else [0, 1]
    rows = [
        row(ordinal, index, last, channel, channels)
        for ordinal, last in enumerate(lasts)
        for channel in numbers
        for index in range(last + 1)
    ]
    rows.append(census(len(lasts)))
    mixed = rows + chance.sample(rows, len(rows) // 2)
    chance.shuffle(mixed)
    gathering, found = Gathering(MAKING), []
    for each in mixed:
        found += take(gathering, [each])
    (whole,) = found
    assert gathering.open == []
    table = sorted(whole.table.to_pylist(), key=lambda r: (r["ordinal"], r["channel"] or 0))
    assert [(r["ordinal"], r["channel"]) for r in table] == [(o, c) for o in range(len(lasts)) for c in numbers]
    for r in table:
        last = lasts[r["ordinal"]]
        assert r["text"] == " ".join(f"w{index}" for index in range(last + 1))
        assert (r["seconds"], r["reference"]) == (last + 1.0, "said")
    assert whole.expected == {(o, c) for o in range(len(lasts)) for c in numbers}


@given(st.integers(0, 7))
def test_a_shard_with_one_row_missing_is_not_whole(missing: int) -> None:
    rows = [row(ordinal, index, 1) for ordinal in range(4) for index in range(2)]
    gathering = Gathering(MAKING)
    assert take(gathering, [*rows[:missing], *rows[missing + 1 :], census(4)]) == []
    assert gathering.arrived("s") == [ordinal for ordinal in range(4) if ordinal != missing // 2]
    assert [whole.shard for whole in take(gathering, [rows[missing]])] == ["s"]


def test_without_its_census_nothing_is_whole() -> None:
    gathering = Gathering(MAKING)
    assert take(gathering, [row(0, 0, 0)]) == []
    assert len(take(gathering, [census(1)])) == 1


def test_a_failed_piece_fails_its_recording_alone() -> None:
    rows = [row(0, 0, 2), row(0, 1, 1, failure=failure("Corrupt")), row(1, 0, 0), census(2)]
    (whole,) = take(Gathering(MAKING), rows)
    first, second = whole.table.to_pylist()
    assert (first["status"], first["error"]["class"], first["text"]) == ("failed", "Corrupt", None)
    assert (second["status"], second["text"]) == ("ok", "w0")


def test_a_recording_that_fails_before_its_channels_are_known_is_one_row() -> None:
    rows = [row(0, 0, 5, 0, 2), row(0, 0, 5, 1, 2), row(0, 0, 0, failure=failure("Crashed")), census(1)]
    (whole,) = take(Gathering(MAKING), rows)
    assert [(r["channel"], r["status"]) for r in whole.table.to_pylist()] == [(None, "failed")]


def test_a_channel_that_fails_leaves_the_other() -> None:
    rows = [row(0, 0, 0, 0, 2), row(0, 0, 0, 1, 2, failure=failure("NotFinite")), census(1)]
    (whole,) = take(Gathering(MAKING), rows)
    assert [(r["channel"], r["status"]) for r in whole.table.to_pylist()] == [(0, "ok"), (1, "failed")]


def test_a_text_is_held_against_what_was_said_only_where_that_is_of_it_alone() -> None:
    (alone,) = take(Gathering(MAKING), [row(0, 0, 0), census(1)])
    assert alone.table["wer"].to_pylist() == [1.0]
    (halves,) = take(Gathering(MAKING), [row(0, 0, 0, 0, 2), row(0, 0, 0, 1, 2), census(1)])
    assert halves.table["reference"].to_pylist() == ["said", "said"]
    assert halves.table["wer"].to_pylist() == halves.table["cer"].to_pylist() == [None, None]


def test_what_is_written_off_is_a_row_that_says_why() -> None:
    gathering = Gathering(MAKING)
    take(gathering, [row(0, 0, 0), census(2)])
    named = {"recording_id": "r1", "uri": "r1", "reference": "said"}
    (whole,) = gathering.give_up("s", {1: (named, Failure("Crashed", "inference", "it died"))}, 2)
    first, second = whole.table.to_pylist()
    assert first["status"] == "ok"
    assert (second["recording_id"], second["status"], second["error"]["class"]) == ("r1", "failed", "Crashed")


def test_a_new_pass_forgets_halves_and_keeps_what_is_whole() -> None:
    gathering = Gathering(MAKING)
    take(gathering, [row(0, 0, 0), row(1, 0, 1), census(2)])
    gathering.start_again()
    assert take(gathering, [row(1, 1, 1)]) == []
    assert len(take(gathering, [row(1, 0, 1)])) == 1
