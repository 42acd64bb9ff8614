"""At its end a run holds the table against the plan, whatever was believed on the way."""

import io
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.cli import main
from jobs.exits import BROKEN, FINE
from pipeline import commit as committing
from pipeline.audio.rules import Channels
from pipeline.commit import GATHERED, Key, Stamp, commit
from pipeline.gathering import Gathering, Whole
from pipeline.inputs.found import PlanRules
from pipeline.output import add_generation, generations
from pipeline.plan import plan
from pipeline.planfile import write_plan
from pipeline.reckoning import NAMED, UnaccountedError, reckon
from pipeline.sources import recordings
from pipeline.storage import Store
from tests.faults.runs import MODEL, engineless, spoken
from tests.pipeline.corpora import clip, tarred, written

ROWS = 4
REST = "p.parquet/2-"


def made(store: Store, inputs: Path, rows: Sequence[Key], last: str | None = None) -> None:
    """Plan the inputs, and write for each shard these rows; the last may be a failed one of this name."""
    tables, file = list(plan([str(inputs)], PlanRules(shard_size=ROWS))), io.BytesIO()
    write_plan(tables, file)
    add_generation(store, len(generations(store)) + 1, file.getvalue())
    for table in tables:
        given = [row(*key) for key in rows]
        if last is not None:
            given[-1] |= {"recording_id": last, "status": "failed", "error": dict.fromkeys(("class", "stage"), "x")}
        shard = table["shard"][0].as_py()
        commit(store, shard, pa.Table.from_pylist(given, GATHERED), list(rows), Stamp("f", "run", 1))


def row(ordinal: int, channel: int | None) -> dict[str, object]:
    named = {"ordinal": ordinal, "channel": channel, "recording_id": f"r{ordinal}", "uri": "u", "status": "empty"}
    return named | {"model": "m", "run_id": "run"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "out"))


def loose(folder: Path, shards: int = 1) -> Path:
    return written(folder / "loose", {f"{number:03}.wav": b"sound" for number in range(shards * ROWS)})


def packed(folder: Path, rows: int = ROWS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"audio": [clip(number) for number in range(rows)]}), folder / "p.parquet")
    return folder


def tar(folder: Path) -> Path:
    return written(folder / "tar", {"t.tar": tarred([(f"{number}.wav", clip(number)) for number in range(ROWS)])})


EACH: list[Key] = [(number, channel) for number in range(ROWS) for channel in (0, 1)]
MIXED: list[Key] = [(number, None) for number in range(ROWS)]


@pytest.mark.parametrize(
    ("inputs", "rows", "channels", "last"),
    [
        (loose, MIXED, "mix", None),
        (loose, EACH, "each", None),
        (packed, MIXED, "mix", None),
        (packed, [*MIXED, (ROWS, None)], "mix", None),
        (packed, MIXED[:3], "mix", REST),
        (packed, MIXED[:3], "mix", "/in/p.parquet:2"),
        (tar, MIXED[:1], "mix", None),
    ],
    ids=["whole", "a row a channel", "all of a table", "a table that grew", "its rest in a row", "given up", "a tar"],
)
def test_a_table_that_holds_what_was_planned_passes(
    inputs: object, rows: list[Key], channels: Channels, last: str | None, store: Store, tmp_path: Path
) -> None:
    made(store, inputs(tmp_path), rows, last)  # type: ignore[operator]
    reckon(store, channels)


@pytest.mark.parametrize(
    ("inputs", "rows", "channels", "last"),
    [
        (loose, MIXED[:3], "mix", None),
        (loose, MIXED[:3], "each", None),
        (loose, [*MIXED, (ROWS, None)], "first", None),
        (packed, MIXED[:3], "mix", None),
        (packed, MIXED[:3], "mix", "p.parquet/2"),
    ],
    ids=["a row less", "a recording without channels", "a row more", "a table's row less", "a failed row, but of one"],
)
def test_one_that_does_not_is_named(
    inputs: object, rows: list[Key], channels: Channels, last: str | None, store: Store, tmp_path: Path
) -> None:
    made(store, inputs(tmp_path), rows, last)  # type: ignore[operator]
    with pytest.raises(UnaccountedError, match=rf"transcripts/.*\.parquet: {len(rows)} rows for {ROWS} recordings\n"):
        reckon(store, channels)


def test_of_many_some_are_named_and_all_are_counted(store: Store, tmp_path: Path) -> None:
    made(store, loose(tmp_path, shards=NAMED + 3), MIXED[:3])
    with pytest.raises(UnaccountedError, match="and 3 shards more") as raised:
        reckon(store, "mix")
    assert str(raised.value).count("3 rows for 4") == NAMED


def test_a_table_that_shrank_after_it_was_planned_says_so_in_a_row(tmp_path: Path) -> None:
    (planned,) = plan([str(packed(tmp_path))])
    packed(tmp_path, rows=ROWS - 1)
    *there, gone = recordings(planned)
    assert [each.failure for each in there] == [None] * (ROWS - 1)
    assert gone.recording_id.endswith("/3-") and gone.failure is not None and gone.failure.kind == "Changed"
    assert "4 rows here when it was planned, and has 3 now" in gone.failure.message


def test_a_run_that_lost_a_row_unseen_does_not_end_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, finish = spoken(tmp_path / "corpus", 3), Gathering._finish

    def losing(self: Gathering, name: str) -> Whole:
        whole = finish(self, name)
        return Whole(whole.shard, whole.table.slice(1), whole.expected)

    command = ["transcribe", str(corpus), "-o", str(tmp_path / "out"), "-m", str(MODEL)]
    with engineless(), monkeypatch.context() as patch:
        patch.setattr(Gathering, "_finish", losing)
        patch.setattr(committing, "balance", lambda *_: None)
        assert main(command) == BROKEN
        assert "2 rows for 3 recordings" in capsys.readouterr().err
    with engineless():
        assert main(command) == BROKEN, "it stays wrong until the file is gone"
        for path in (tmp_path / "out" / "transcripts").iterdir():
            path.unlink()
        assert main(command) == FINE
