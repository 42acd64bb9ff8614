"""A reader's shards become batches, and an outage of the storage is told apart from bad data."""

import io
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from pipeline import reading
from pipeline.audio import AudioRules
from pipeline.batches import clips, keys
from pipeline.bucketing import Buckets
from pipeline.inputs.found import PlanRules
from pipeline.output import add_generation, plan_name
from pipeline.plan import plan
from pipeline.planfile import shards, write_plan
from pipeline.reading import WORK, Reader, Rules
from pipeline.schema import Recording, Segment
from pipeline.storage import Store, StoreError
from tests.models.reference import published


@pytest.fixture
def output(tmp_path: Path) -> str:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(5):
        samples = np.random.default_rng(number).normal(0, 0.1, 16_000 * (number + 1))
        soundfile.write(folder / f"{number}.flac", samples, 16_000)
    file = io.BytesIO()
    write_plan(plan([str(folder)]), file)
    add_generation(Store(str(tmp_path / "out")), 1, file.getvalue())
    return str(tmp_path / "out")


def work(output: str, done: list[int]) -> pa.Table:
    with Store(output).open(plan_name(1)) as file:
        rows = [{"plan": plan_name(1), **vars(place), "done": done} for place in shards(file)]
    return pa.Table.from_pylist(rows, WORK)


def reader(output: str, *, apart: bool = False) -> Reader:
    return Reader(Rules(output, str(published("hubert-group-ctc").folder), AudioRules(), Buckets(), apart))


def read(tables: Iterator[pa.Table]) -> list[dict[str, object]]:
    return [key for table in tables for key in keys(table).to_pylist()]


@pytest.mark.parametrize("apart", [False, True])
def test_what_is_read_does_not_depend_on_who_decodes(output: str, apart: bool) -> None:
    found = read(reader(output, apart=apart)(work(output, [])))
    assert sorted(k["ordinal"] for k in found if k["census"] is None) == [0, 1, 2, 3, 4]  # type: ignore[type-var]
    assert [k["census"] for k in found if k["census"] is not None] == [5]


def test_a_clip_travels_unchanged(output: str) -> None:
    batches = list(reader(output)(work(output, [])))
    found = sorted((clip for batch in batches for clip in clips(batch)), key=len)
    assert [len(clip) for clip in found] == [0, *(16_000 * n for n in range(1, 6))]
    for number, clip in enumerate(found[1:]):
        samples, _ = soundfile.read(Path(output).parent / "in" / f"{number}.flac", dtype="float32")
        np.testing.assert_allclose(clip, (samples - samples.mean()) / samples.std(), atol=1e-4)


def test_what_has_arrived_is_not_read_again_but_is_counted(output: str) -> None:
    found = read(reader(output)(work(output, [0, 1, 3])))
    assert sorted(k["ordinal"] for k in found if k["census"] is None) == [2, 4]  # type: ignore[type-var]
    assert [k["census"] for k in found if k["census"] is not None] == [5]


def test_two_readings_of_the_same_shards_are_the_same(output: str) -> None:
    readings = [list(reader(output)(work(output, []))) for _ in range(2)]
    once, again = ([batch.drop_columns("reading") for batch in batches] for batches in readings)  # but for its seconds
    assert once == again


def test_shards_that_are_read_together_fill_batches_together_and_open_the_plan_once(
    output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_one_shard = list(reader(output)(work(output, [])))
    Store(output).delete(plan_name(1))
    written = io.BytesIO()
    write_plan(plan([str(Path(output).parent / "in")], PlanRules(shard_size=1)), written)
    add_generation(Store(output), 1, written.getvalue())
    together, opened, real = work(output, []), [], Store.open
    monkeypatch.setattr(Store, "open", lambda store, name: opened.append(name) or real(store, name))
    batches = list(reader(output)(together))
    assert (len(together), len(batches), opened) == (5, len(of_one_shard), [plan_name(1)])
    assert sorted(key["census"] or 0 for key in read(iter(batches))) == [0] * 5 + [1] * 5


def test_an_outage_ends_the_shard_without_a_census(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(rows: pa.Table) -> Iterator[Recording]:
        raise StoreError("Unreachable", "s3://bucket cannot be reached")
        yield

    monkeypatch.setattr(reading, "tried", broken)
    (key,) = read(reader(output)(work(output, [])))
    assert (key["ordinal"], key["census"]) == (None, None)
    assert key["failure"]["message"] == "s3://bucket cannot be reached"  # type: ignore[index]


def test_the_seconds_of_a_batch_are_those_of_its_making_and_not_of_the_wait_after_it(output: str) -> None:
    batches = reader(output, apart=True)(work(output, []))
    first = next(batches)
    time.sleep(1.0)
    second = next(batches)
    assert first["reading"][0].as_py() > 0
    assert 0 < second["reading"][0].as_py() < 1.0


def test_what_is_raised_over_a_recording_costs_that_recording(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = reading.features

    def mistaken(segments: Iterator[Segment], frontend: object) -> Iterator[object]:
        for segment in segments:
            if segment.recording.ordinal == 2 and segment.failure is None:
                raise ZeroDivisionError("a mistake of ours")
            yield from made([segment], frontend)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "features", mistaken)
    found = {key["ordinal"]: key["failure"] for key in read(reader(output, apart=True)(work(output, [])))}
    assert {ordinal for ordinal, failed in found.items() if failed is None} == {0, 1, 3, 4, None}
    assert found[2]["class"] == "Crashed" and "ZeroDivisionError: a mistake of ours" in found[2]["message"]  # type: ignore[index]
