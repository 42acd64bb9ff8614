"""`steno verify`: a whole output passes, and every kind of damage is named."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.cli import main
from jobs.exits import FAILED_ROWS, FINE, UNUSABLE
from jobs.options import Verify
from jobs.verifying import verify
from pipeline.commit import GATHERED, Stamp, commit
from pipeline.inputs.found import PlanRules
from pipeline.output import Identity, add_generation, claim
from pipeline.plan import DEFAULT, plan
from pipeline.planfile import write_plan
from pipeline.schema import TRANSCRIPT
from pipeline.storage import Store
from tests.jobs.rows_of import write_read
from tests.pipeline.corpora import clip, tarred

Row = dict[str, object]
Change = Callable[[list[Row]], object]
IDENTITY = Identity("model", None, "weights")


def row(ordinal: int) -> Row:
    words = [{"word": w, "start": s, "end": s + 0.4, "confidence": 0.9} for w, s in (("one", 0.1), ("two", 0.6))]
    segment = {"start": 0.1, "end": 1.0, "text": "one two", "confidence": 0.9, "words": words}
    name = f"corpus/{ordinal}.wav"
    return {
        **{"ordinal": ordinal, "recording_id": name, "uri": name, "seconds": 1.0, "status": "ok"},
        **{"text": "one two", "segments": [segment], "model": "model", "run_id": "run"},
    }


def words(rows: list[Row]) -> list[dict[str, float]]:
    return rows[0]["segments"][0]["words"]  # type: ignore[index, no-any-return]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """An output of one planned shard with three recordings, its rows changed before they are written."""

    def written(change: Change = list, fingerprint: str = IDENTITY.fingerprint) -> Path:
        corpus, output = tmp_path / "corpus", tmp_path / "out"
        corpus.mkdir()
        for number in range(3):
            (corpus / f"{number}.wav").write_bytes(b"sound")
        store, file = Store(str(output)), io.BytesIO()
        claim(store, IDENTITY)
        tables = list(plan((str(corpus),), PlanRules()))
        write_plan(tables, file)
        add_generation(store, 1, file.getvalue())
        rows = [row(number) for number in range(3)]
        change(rows)
        table = pa.Table.from_pylist(rows, GATHERED)
        keys = {(int(str(one["ordinal"])), None) for one in rows}
        commit(store, tables[0]["shard"][0].as_py(), table, keys, Stamp(fingerprint, "run", 1))
        return output

    return written


def found(output: Path) -> list[str]:
    return verify(Verify(str(output))).problems


def test_a_whole_output_passes(write: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    output = write()
    assert main(["verify", str(output)]) == FINE
    assert "everything that is planned is there once, and right" in capsys.readouterr().out
    assert main(["verify", str(output), "--json"]) == FINE
    said = json.loads(capsys.readouterr().out)
    assert said == {
        **{"output": str(output), "shards": 1, "missing": 0, "rows": {"ok": 3}, "problems": [], "whole": True}
    }


DAMAGE: dict[str, tuple[Change, str]] = {
    "a recording is lost": (lambda rows: rows.pop(1), "1.wav: planned, and not in the table"),
    "a recording is there twice": (lambda rows: rows.append({**rows[2], "ordinal": 3}), "2.wav: there 2 times"),
    "a stranger": (lambda rows: rows[1].update(recording_id="x"), "x: in the table, and not planned"),
    "another order": (
        lambda rows: (rows[0].update(recording_id="corpus/1.wav"), rows[1].update(recording_id="corpus/0.wav")),
        "its recordings are not in the order of the plan",
    ),
    "a word beyond the end": (lambda rows: words(rows)[1].update(end=1.2), "0.wav: a word or a segment lies outside"),
    "a word before the start": (lambda rows: words(rows)[0].update(start=-0.1), "lies outside its 1.00 s"),
    "a word backwards": (lambda rows: words(rows)[1].update(end=0.5), "ends before it starts"),
    "no time at all": (lambda rows: words(rows)[1].update(end=float("nan")), "ends before it starts"),
    "words out of order": (lambda rows: words(rows).reverse(), "its words do not follow one another"),
    "a failure without a reason": (lambda rows: rows[0].update(status="failed"), "it does not say why"),
    "ok without a text": (lambda rows: rows[0].update(text=""), "it has none of text, labels"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_damage_of_rows_is_named(damage: str, write: Callable[..., Path]) -> None:
    change, complaint = DAMAGE[damage]
    problems = found(write(change))
    assert any(complaint in problem for problem in problems), problems


def test_frames_that_a_row_names_and_that_are_not_there_are_named(write: Callable[..., Path]) -> None:
    names = [f"frames/000001-000000/{number:06}-00000.parquet" for number in range(2)]
    output = write(lambda rows: rows[2].update(frame_files=names))
    (output / names[0]).parent.mkdir(parents=True)
    for name in names:
        (output / name).write_bytes(b"frames")
    assert found(output) == []
    (output / names[1]).unlink()
    (problem,) = found(output)
    assert f"2.wav: its frames in {names[1]} are not there" in problem


def test_another_models_file_is_named(write: Callable[..., Path]) -> None:
    assert any("made by another model" in problem for problem in found(write(fingerprint="0" * 16)))


def test_a_missing_file_and_a_strange_one_are_named(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    output = write()
    (file,) = (output / "transcripts").iterdir()
    file.rename(file.with_name("stranger.parquet"))
    assert main(["verify", str(output)]) == FAILED_ROWS
    said = capsys.readouterr().out
    assert "planned, and there is no file" in said
    assert "stranger: a file that no plan names" in said


def test_rows_that_the_footer_does_not_count_and_columns_that_are_not_the_tables_are_named(
    write: Callable[..., Path],
) -> None:
    (file,) = (write().joinpath("transcripts")).iterdir()
    table = pq.read_table(file)
    pq.write_table(table.slice(0, 2), file)
    assert any("its footer counts" in problem for problem in found(file.parents[1]))
    pq.write_table(table.drop_columns(["uri"]), file)
    assert any("its columns are not" in problem for problem in found(file.parents[1]))
    file.write_bytes(b"nothing of the kind")
    assert any("cannot be read" in problem for problem in found(file.parents[1]))


def of_tars(folder: Path) -> str:
    folder.joinpath("corpus").mkdir()
    for name in ("a", "b"):
        members = [(f"{number}.wav", clip()) for number in range(2)]
        (folder / f"corpus/{name}.tar").write_bytes(tarred(members))
    return write_read(folder / "out", folder / "corpus")


def of_tables(folder: Path, rules: PlanRules = DEFAULT) -> str:
    folder.joinpath("corpus").mkdir()
    for name in ("a", "b"):
        rows = pa.table({"audio": [clip()] * 4, "text": ["one"] * 4})
        pq.write_table(rows, folder / f"corpus/{name}.parquet", row_group_size=2)
    return write_read(folder / "out", folder / "corpus", rules=rules)


def of_row_groups(folder: Path) -> str:
    return of_tables(folder, PlanRules(parquet_bytes=1))


CONTAINERS: dict[str, tuple[Callable[[Path], str], str]] = {
    "tars": (of_tars, "2 of its rows are of another input"),
    "Parquet files": (of_tables, "4 of its rows are of another input"),
    "row groups of a Parquet file": (of_row_groups, "2 of its recordings are in another file, too: corpus/a.parquet/0"),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_container_that_is_there_twice_and_one_that_is_not_there_are_named(kind: str, tmp_path: Path) -> None:
    written, complaint = CONTAINERS[kind]
    output = Path(written(tmp_path))
    assert found(output) == []
    first, second, *_ = sorted((output / "transcripts").iterdir())
    second.write_bytes(first.read_bytes())
    (problem,) = found(output)
    assert problem.startswith(second.stem)
    assert complaint in problem


def again(output: Path, shard: str, rows: list[Row], generation: int = 1) -> None:
    """Write a shard's file anew."""
    (output / f"transcripts/{shard}.parquet").unlink()
    numbered = [{**each, "ordinal": number} for number, each in enumerate(rows)]
    stamp = Stamp(IDENTITY.fingerprint, "run", generation)
    keys = {(number, None) for number in range(len(rows))}
    commit(Store(str(output)), shard, pa.Table.from_pylist(numbered, GATHERED), keys, stamp)


def test_a_table_must_have_the_rows_that_were_planned_or_say_where_it_could_not_be_read_on(tmp_path: Path) -> None:
    output = Path(of_tables(tmp_path))
    file = next((output / "transcripts").iterdir())
    rows = pq.read_table(file).to_pylist()
    again(output, file.stem, rows[:3])
    (problem,) = found(output)
    assert problem == f"{file.stem}: it holds 3 recordings, and 4 were planned"
    reason = {"class": "Truncated", "stage": "sources", "message": "it ends"}
    name, uri = str(rows[0]["recording_id"]).removesuffix("0"), str(rows[0]["uri"]).removesuffix("0")
    rest = {**rows[3], "recording_id": f"{name}2-", "uri": f"{uri}2-", "status": "failed", "error": reason}
    again(output, file.stem, [*rows[:2], rest])
    assert found(output) == []


def test_parts_of_one_input_that_cannot_be_read_fail_alike(tmp_path: Path) -> None:
    output = Path(of_row_groups(tmp_path))
    reason = {"class": "NotFound", "stage": "sources", "message": "gone"}
    for file in sorted((output / "transcripts").iterdir()):
        row = pq.read_table(file).to_pylist()[0]
        name, uri = str(row["recording_id"]).rpartition("/")[0], str(row["uri"]).rpartition("#")[0]
        failed = {"recording_id": f"{name}/0-", "uri": f"{uri}#0-", "status": "failed", "error": reason}
        again(output, file.stem, [{**row, **failed}])
    assert found(output) == []


def test_a_file_of_another_generation_and_an_unknown_status_are_named(tmp_path: Path) -> None:
    output = Path(of_tars(tmp_path))
    first, second = sorted((output / "transcripts").iterdir())
    again(output, first.stem, pq.read_table(first).to_pylist(), generation=2)
    table = pq.read_table(second)
    strange = pa.array(["odd"] * len(table))
    field = TRANSCRIPT.field("status")
    pq.write_table(table.set_column(table.schema.get_field_index("status"), field, strange), second)
    generation, status = found(output)
    assert "written for generation 2 of the plan, and it lies in generation 1" in generation
    assert status == f"{second.stem}: no such status: odd"


def test_names_that_command_a_terminal_are_spelled_out(
    write: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    output = write(lambda rows: rows[1].update(recording_id="red\x1b[31m\nnext"))
    assert main(["verify", str(output)]) == FAILED_ROWS
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert r"red\x1b[31m\nnext: in the table, and not planned" in said


def test_a_folder_that_is_no_output_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path)]) == UNUSABLE
    assert capsys.readouterr().err.startswith(f"steno: {tmp_path} holds no output of steno")
