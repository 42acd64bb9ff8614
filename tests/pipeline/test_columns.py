"""Which column of a Parquet file is the audio, however other programs have written it."""

import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.commit import describe, serialise
from pipeline.inputs.found import PlanError, PlanRules
from pipeline.plan import plan
from pipeline.planfile import write_plan
from pipeline.schema import TRANSCRIPT
from tests.pipeline.corpora import clip, kinds, read, written
from tests.pipeline.rows import STAMP, census, rows

SOUNDS = [clip(n) for n in range(3)]
STRUCTS = pa.array([{"bytes": sound, "path": "far.wav"} for sound in SOUNDS])
NAMES = pa.array(["x.wav", "y.wav", "z.wav"])
SAID = pa.array(["a", "b", "a"])
TABLES: dict[str, Mapping[str, pa.Array]] = {
    "categories": {"audio": pa.array(SOUNDS).dictionary_encode(), "text": SAID.dictionary_encode()},
    "views": {"audio": pa.array(SOUNDS).cast(pa.binary_view()), "text": SAID.cast(pa.string_view())},
    "large": {"audio": pa.array(SOUNDS, pa.large_binary()), "text": SAID.cast(pa.large_string())},
    "of one size": {"audio": pa.array(SOUNDS, pa.binary(len(SOUNDS[0]))), "text": SAID},
    "bytes beside their paths, as Ray Data reads files": {"bytes": pa.array(SOUNDS), "path": NAMES, "text": SAID},
    "content beside its path, as Spark reads files": {"path": NAMES, "content": pa.array(SOUNDS), "text": SAID},
    "a struct of another name beside a path": {"path": NAMES, "speech": STRUCTS, "text": SAID},
}


@pytest.mark.parametrize("name", TABLES)
def test_what_holds_sound_is_the_audio(tmp_path: Path, name: str) -> None:
    pq.write_table(pa.table(TABLES[name]), tmp_path / "t.parquet")
    found = read(tmp_path)
    assert [each.audio for each in found] == SOUNDS
    assert [each.reference for each in found] == ["a", "b", "a"]


def test_names_of_audio_may_be_categories_and_are_believed_before_a_picture(tmp_path: Path) -> None:
    written(tmp_path, {"1.wav": clip(1), "2.wav": clip(2)})
    names = pa.array(["1.wav", "2.wav", "1.wav"]).dictionary_encode()
    pq.write_table(pa.table({"image": STRUCTS, "content": SAID, "audio": names}), tmp_path / "t.parquet")
    assert [each.audio for each in read(tmp_path / "t.parquet")] == [clip(1), clip(2), clip(1)]


def test_a_column_that_stands_twice_is_no_mistake_and_no_reference(tmp_path: Path) -> None:
    twice = pa.Table.from_arrays([pa.array(SOUNDS), SAID, NAMES, SAID], ["audio", "text", "text", "sentence"])
    pq.write_table(twice, tmp_path / "t.parquet")
    assert [each.reference for each in read(tmp_path)] == ["a", "b", "a"]


def test_a_row_without_audio_keeps_what_else_is_known_of_it(tmp_path: Path) -> None:
    pq.write_table(pa.table({"audio": ["../1.wav", None], "text": ["a", "b"], "id": [7, 8]}), tmp_path / "t.parquet")
    found = read(tmp_path)
    assert kinds(found) == ["OutsideRoot", "NoAudio"]
    assert [each.reference for each in found] == ["a", "b"]
    assert [json.loads(each.extra or "") for each in found] == [{"audio": "../1.wav", "id": 7}, {"id": 8}]


def test_an_output_that_lies_in_an_input_is_none_of_it(tmp_path: Path) -> None:
    written(tmp_path / "talks", {"a.wav": clip(1), "table/transcripts/x": b"", "table/plan/x": b""})
    with (tmp_path / "talks/table/plan/000001.parquet").open("wb") as file:
        write_plan(plan([str(tmp_path / "talks")]), file)
    table = rows(census(3)).select(TRANSCRIPT.names)
    finished = tmp_path / "talks/table/transcripts/000001-000000-talks.parquet"
    finished.write_bytes(serialise(table, describe(table, STAMP)))
    assert [each.recording_id for each in read(tmp_path / "talks")] == ["talks/a.wav"]
    with pytest.raises(PlanError, match="holds no audio"):
        plan([str(finished)])
    assert len(read(finished, rules=PlanRules(format="parquet"))) == 3
