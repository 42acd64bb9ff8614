"""Whose an output is, and what lies in it."""

from dataclasses import replace

import pytest

from pipeline.output import (
    SCHEMA_VERSION,
    Identity,
    OutputDiffersError,
    add_generation,
    claim,
    done,
    generations,
    plan_name,
    read_identity,
    read_runs,
    record_run,
    transcript_name,
)
from pipeline.storage import Store

IDENTITY = Identity(
    model="google/medasr",
    revision="c0ffee",
    weights="abc123",
    options={"beam": 4, "lm_weight": 0.5, "channels": "mix", "cut": None},
    program="0.1.0",
)


def test_the_first_run_makes_the_output_its_own_and_the_same_run_goes_on(store: Store) -> None:
    claim(store, IDENTITY)
    claim(store, IDENTITY)
    assert read_identity(store) == IDENTITY


def test_another_name_or_program_for_the_same_weights_is_no_difference(disk: Store) -> None:
    claim(disk, IDENTITY)
    claim(disk, replace(IDENTITY, model="./medasr", revision=None, program="0.2.0"))


def test_every_difference_is_named_with_both_values(disk: Store) -> None:
    claim(disk, IDENTITY)
    other = replace(IDENTITY, model="./mine", weights="def456", options={"beam": 1, "channels": "mix", "hot": "words"})
    with pytest.raises(OutputDiffersError) as told:
        claim(disk, other)
    said = str(told.value).splitlines()
    assert disk.url in said[0]
    assert said[1:-1] == [
        '  model: "google/medasr" there, "./mine" here',
        '  weights: "abc123" there, "def456" here',
        "  option beam: 4 there, 1 here",
        "  option cut: null there, not set here",
        "  option lm_weight: 0.5 there, not set here",
        '  option hot: not set there, "words" here',
    ]


@pytest.mark.parametrize("change", [{"weights": "x"}, {"options": {}}, {"schema": SCHEMA_VERSION + 1}])
def test_the_fingerprint_follows_what_decides_words(change: dict[str, object]) -> None:
    assert replace(IDENTITY, **change).fingerprint != IDENTITY.fingerprint
    assert replace(IDENTITY, model="elsewhere", program="9").fingerprint == IDENTITY.fingerprint


def test_a_shard_is_done_when_its_file_exists(store: Store) -> None:
    assert list(done(store)) == []
    for shard in ("b", "train/a", "a"):
        store.create(transcript_name(shard), b"")
    store.create("transcripts/notes.txt", b"")
    assert list(done(store)) == ["a", "b", "train/a"]


def test_a_generation_is_planned_once(store: Store) -> None:
    assert generations(store) == []
    assert add_generation(store, 1, b"first") and add_generation(store, 2, b"second")
    assert not add_generation(store, 2, b"again")
    assert generations(store) == [1, 2] and store.read(plan_name(2)) == b"second"


def test_the_record_of_a_run_is_written_again_as_it_goes_on(disk: Store) -> None:
    record_run(disk, "run-1", {"state": "running"})
    record_run(disk, "run-1", {"state": "finished", "counts": {"ok": 3}})
    record_run(disk, "run-2", {"state": "running"})
    assert [record["state"] for record in read_runs(disk)] == ["finished", "running"]


def test_a_record_is_readable_whatever_was_typed_and_holds_no_credential(disk: Store) -> None:
    typed = ['https://host/a?token=canary"b', "https://user:canary@host/\\", {"https://x/?key=canary": None}, 1, None]
    record_run(disk, "run-1", {"run_id": "run-1", "settings": {"inputs": typed}})
    (record,) = read_runs(disk)
    assert "canary" not in str(record) and record["run_id"] == "run-1"
    assert record["settings"] == {
        "inputs": ['https://host/a?token=***"b', "https://host/\\", {"https://x/?key=***": None}, 1, None]
    }
