"""`steno export`: every format says the same to programs that this project did not write."""

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pysubs2
import pytest
import soundfile
import webvtt
from lhotse import SupervisionSegment, SupervisionSet
from lhotse.supervision import AlignmentItem
from praatio import textgrid

from jobs import Export, SetupError, export
from jobs.cli import main
from jobs.exits import FINE, UNUSABLE
from jobs.exports.names import file_name
from jobs.exports.pieces import Dataset, Lines
from jobs.options_export import FORMATS
from pipeline.commit import GATHERED, Stamp, commit
from pipeline.inputs.found import PlanRules
from pipeline.output import read_identity
from pipeline.storage import Store, StoreError
from tests.jobs.rows_of import Told, words, write_read, write_rows
from tests.pipeline.corpora import clip, jsonl, kinds, read, tarred, written

QUOTES = words(("say", 0.0, 0.5), ('"hi,"', 0.5, 1.0), ("it's", 1.0, 1.5), ("naïve", 1.5, 2.0), ("日本語", 2.0, 2.5))
ARROWS = words(("a", 0.1, 0.2), ("-->", 0.3, 0.4), ("<b>&amp;", 0.5, 0.6))
BROKEN = [
    {
        **words(("x", 1.0, 2.0))[0],
        "text": "line one\n\n2\n00:00:01,000 --> end\nline\ttwo\x00",
        "words": None,
    }
]
NO_LENGTH = [*words(("here", 1.0, 1.0), ("there", 1.0, 1.0), ("late", 9.0, 10.0)), *words(("last", 10.0, 10.0))]
LONG = words(*[(f"word{number}", number * 0.3, number * 0.3 + 0.2) for number in range(100)])
UNBROKEN = words(("語" * 200, 0.0, 20.0))
NOT_FOUND = {"class": "NotFound", "stage": "sources", "message": 'no "file", sorry\nreally'}
ROWS: list[Told] = [
    {"recording_id": "quotes", "segments": QUOTES, "reference": 'say "hi"', "language": "en"},
    {"recording_id": "arrows", "segments": ARROWS, "reference": "a\rb"},
    {"recording_id": "line\nbreak", "segments": BROKEN},
    {"recording_id": "no length", "segments": NO_LENGTH},
    {"recording_id": "long", "segments": LONG, "seconds": 30.0, "reference": "=1+1"},
    {"recording_id": "unbroken", "segments": UNBROKEN, "seconds": 20.0},
    {"recording_id": "silence", "segments": [], "text": ""},
    {"recording_id": "call", "channel": 0, "segments": words(("hello", 0.5, 1.0), ("bye", 4.0, 5.0))},
    {"recording_id": "call", "channel": 1, "segments": words(("who", 1.5, 2.0), ("is", 2.0, 2.2))},
    {"recording_id": "part/of", "uri": "audio/whole.wav", "begin": 60.5, "segments": words(("part", 0.0, 1.0))},
    {"recording_id": "../../outside", "segments": words(("out", 0.0, 1.0))},
    {"recording_id": "lost", "status": "failed", "text": None, "error": NOT_FOUND},
]
TEXTS = {str(row["recording_id"]): row for row in ROWS}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All formats of an output of two shards."""
    folder = tmp_path_factory.mktemp("export")
    output = write_rows(folder / "out", {"000001-000000-x": ROWS[:8] + ROWS[8:9], "000001-000001-x": ROWS[9:]})
    written = export(Export(output, to=str(folder / "to"), formats=FORMATS))
    assert written.rows == {"ok": 10, "empty": 1, "failed": 1}
    assert written.files == {
        **{"srt": 10, "vtt": 10, "textgrid": 10, "whisperx": 10},
        **{"ctm": 1, "rttm": 1, "nemo": 1, "dataset": 2, "csv": 1},
    }
    assert {path.relative_to(folder).parts[0] for path in folder.rglob("*")} == {"out", "to"}
    return folder / "to"


def spaced(text: str) -> str:
    return " ".join(text.split())


def said(name: str) -> str:
    """What a recording's text is on one line."""
    return spaced(" ".join(part["text"] for part in TEXTS[name]["segments"])).replace("\x00", "")  # type: ignore[attr-defined, index]


def test_subtitles_hold_every_word_in_lines_that_fit(there: Path) -> None:
    for name in ("quotes", "no length", "long", "line\nbreak"):
        cues = pysubs2.load(str(there / "srt" / file_name(name, ".srt")), encoding="utf-8", keep_unknown_html_tags=True)
        assert spaced(" ".join(cue.plaintext for cue in cues)) == said(name).replace("-->", "->")
        assert all(len(line) <= 42 for cue in cues for line in cue.plaintext.split("\n"))
        assert all(len(cue.plaintext.split("\n")) <= 2 and 0 < cue.duration <= 7000 for cue in cues), name
    assert len(pysubs2.load(str(there / "srt/long.srt"))) > 5
    assert len(pysubs2.load(str(there / "srt/silence.srt"), format_="srt")) == 0


def test_a_text_without_spaces_is_cut_and_nothing_is_lost(there: Path) -> None:
    cues = pysubs2.load(str(there / "srt/unbroken.srt"))
    assert "".join(cue.plaintext.replace("\n", "") for cue in cues) == "語" * 200
    assert (cues[0].start, cues[-1].end) == (0, 20_000)
    assert all(before.end == after.start for before, after in pairwise(cues))


def test_webvtt_spells_what_would_end_a_cue(there: Path) -> None:
    for name in ("quotes", "arrows", "line\nbreak", "long"):
        cues = webvtt.read(str(there / "vtt" / file_name(name, ".vtt"))).captions
        told = spaced(" ".join(cue.raw_text for cue in cues))
        assert "-->" not in told
        assert not set("<>") & set(told)
        assert told.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == said(name)
    assert not webvtt.read(str(there / "vtt/silence.vtt")).captions


def test_channels_are_told_apart_in_the_order_of_time(there: Path) -> None:
    cues = webvtt.read(str(there / "vtt/call.vtt")).captions
    assert [(cue.voice, cue.text, cue.start) for cue in cues] == [
        ("Channel 0", "hello bye", "00:00:00.500"),
        ("Channel 1", "who is", "00:00:01.500"),
    ]
    assert [cue.plaintext for cue in pysubs2.load(str(there / "srt/call.srt"))] == ["[0] hello bye", "[1] who is"]
    grid = textgrid.openTextgrid(str(there / "textgrid/call.TextGrid"), includeEmptyIntervals=False)
    assert grid.tierNames == ("segments 0", "words 0", "segments 1", "words 1")
    assert [tuple(entry) for entry in grid.getTier("words 1").entries] == [(1.5, 2.0, "who"), (2.0, 2.2, "is")]


def test_praat_doubles_quotes_inside_a_label(there: Path) -> None:
    assert 'text = """hi,""" \n' in (there / "textgrid/quotes.TextGrid").read_text(encoding="utf-8")


def test_praat_has_every_word_once_and_none_without_length(there: Path) -> None:
    for name in ("quotes", "arrows", "no length", "long", "line\nbreak", "silence"):
        grid = textgrid.openTextgrid(str(there / "textgrid" / file_name(name, ".TextGrid")), includeEmptyIntervals=True)
        entries = grid.getTier("words").entries
        assert " ".join(entry.label for entry in entries if entry.label) == (said(name) if name != "silence" else "")
        assert entries[0].start == 0
        assert entries[-1].end == grid.maxTimestamp >= float(str(TEXTS[name].get("seconds", 10.0)))
        assert all(entry.end > entry.start for entry in entries)
        assert all(one.end == two.start for one, two in pairwise(entries))


def timed(path: Path, recording: str, channel: int = 1) -> list[AlignmentItem]:
    """The words of a recording's channel, as lhotse reads them out of a CTM file."""
    whole = SupervisionSegment("whole", recording, start=0.0, duration=3600.0, channel=channel)
    (read,) = SupervisionSet.from_segments([whole]).with_alignment_from_ctm(path, match_channel=True)
    return read.alignment["word"]


def test_ctm_has_a_line_of_fields_for_each_word(there: Path) -> None:
    path = there / "ctm/part-00000.ctm"
    hello, _ = timed(path, "call")
    assert (hello.symbol, hello.start, hello.duration, hello.score) == ("hello", 0.5, 0.5, 0.75)
    who, _ = timed(path, "call", channel=2)
    assert (who.symbol, who.start, who.duration, who.score) == ("who", 1.5, 0.5, 0.75)
    assert [word.symbol for word in timed(path, "no%20length")] == ["here", "there", "late", "last"]
    assert [word.symbol for word in timed(path, "long")] == said("long").split()
    assert timed(path, "line%0Abreak") == [], "its model gave no times of words"


def test_rttm_has_a_line_for_each_stretch_of_each_channel(there: Path) -> None:
    path = there / "rttm/part-00000.rttm"
    found = list(SupervisionSet.from_rttm(path))
    call = [(part.channel, part.start, part.duration, part.speaker) for part in found if part.recording_id == "call"]
    assert call == [(1, 0.5, 4.5, "channel1"), (2, 1.5, 0.7, "channel2")]
    assert len(found) == len(path.read_text().splitlines()), "lhotse leaves out what has no length"
    assert {"long", "part/of", "unbroken"} <= {part.recording_id for part in found}


def test_a_manifest_can_be_read_by_pandas(there: Path) -> None:
    manifest = there / "nemo/part-00000.jsonl"
    table = pd.read_json(manifest, lines=True).set_index("recording_id")
    assert table.loc["quotes", "text"] == said("quotes")
    assert table.loc["quotes", "reference"] == 'say "hi"'
    assert table.loc["part/of", "offset"] == 60.5
    assert table.loc["part/of", "audio_filepath"] == "audio/whole.wav"
    assert "lost" not in table.index
    assert list(table.loc["call", ["channel", "text"]].itertuples(index=False, name=None)) == [
        (0, "hello bye"),
        (1, "who is"),
    ]


def test_a_manifest_names_files_that_are_there_and_what_of_them_is_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Loose audio, parts of a file (one of them without a beginning), and what lies inside other files."""
    corpus = tmp_path / "corpus #1 ü%20?"
    parts = [{"audio_filepath": "whole.wav", "offset": at, "duration": 0.5} for at in (0.0, 0.5)]
    recording = {"id": "x", "sources": [{"type": "file", "channels": [0], "source": "../whole.wav"}]}
    cut = {"id": "cut", "duration": 0.25, "recording": recording, "supervisions": []}
    written(
        corpus,
        {
            **{"loose/[red]a[/red].wav": clip(1, 1.0), "loose/box.tar": tarred([("in.wav", clip(2))])},
            **{"parts/manifest.jsonl": jsonl(parts), "parts/whole.wav": clip(3, 1.0), "whole.wav": clip(4, 1.0)},
            **{"tarred/manifest.jsonl": jsonl([{"audio_filepath": "in.wav", "shard_id": 0}])},
            **{"tarred/audio_0.tar": tarred([("in.wav", clip(5))]), "cuts/cuts.jsonl": jsonl([cut])},
        },
    )
    pq.write_table(pa.table({"audio": [clip(6), clip(7)]}), corpus / "loose/rows.parquet")
    rules = PlanRules(roots=(str(corpus),))
    inputs = [corpus / name for name in ("loose", "parts/manifest.jsonl", "tarred/manifest.jsonl", "cuts/cuts.jsonl")]
    output = write_read(tmp_path / "out", *inputs, rules=rules)
    assert main(["export", output, "--to", str(tmp_path / "to"), "-f", "nemo"]) == FINE
    told = "4 recordings lie inside tars or Parquet files, which a manifest cannot name: left out of nemo."
    assert told in capsys.readouterr().out
    manifest = tmp_path / "to/nemo/part-00000.jsonl"
    entries = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    assert all(Path(entry["audio_filepath"]).is_file() for entry in entries)
    spans = sorted((entry["recording_id"], entry.get("offset"), entry["duration"]) for entry in entries)
    assert spans == [
        ("cut", 0.0, 0.25),
        ("loose/[red]a[/red].wav", None, 1.0),
        ("whole.wav@0.000-0.500", 0.0, 0.5),
        ("whole.wav@0.500-1.000", 0.5, 0.5),
    ]
    again = read(manifest, rules=replace(rules, format="nemo"))
    assert kinds(again) == [None] * 4
    for one in again:
        assert isinstance(one.audio, bytes)
        assert len(soundfile.read(io.BytesIO(one.audio))[0]) == 16_000
    assert sorted(str(one.reference) for one in again) == [name for name, *_ in spans]


def test_words_that_no_model_heard_have_times_on_screens_and_none_for_scorers(tmp_path: Path) -> None:
    """A reference text, aligned: its digits stand somewhere between their neighbours."""
    said = [dict(word) for word in words(("in", 1.0, 1.2), ("1984", 1.2, 2.0), ("again", 2.0, 2.4))[0]["words"]]  # type: ignore[attr-defined]
    for word in said:
        word["aligned"] = word["word"] != "1984"
    segment = {**words(("in", 1.0, 2.4))[0], "text": "in 1984 again", "words": said}
    output = write_rows(tmp_path / "out", {"000001-000000-x": [{"recording_id": "a", "segments": [segment]}]})
    to = tmp_path / "to"
    export(Export(output, to=str(to), formats=("ctm", "srt", "textgrid", "whisperx")))
    assert [line.split()[4] for line in (to / "ctm/part-00000.ctm").read_text().splitlines()] == ["in", "again"]
    assert pysubs2.load(str(to / "srt/a.srt"))[0].plaintext == "in 1984 again"
    grid = textgrid.openTextgrid(str(to / "textgrid/a.TextGrid"), includeEmptyIntervals=False)
    assert [tuple(entry) for entry in grid.getTier("words").entries][1] == (1.2, 2.0, "1984")
    (_, digits, _) = json.loads((to / "whisperx/a.json").read_text())["word_segments"]
    assert digits == {"word": "1984", "start": 1.2, "end": 2.0}


def test_whisperx_files_have_segments_words_and_speakers(there: Path) -> None:
    found = json.loads((there / "whisperx/call.json").read_text())
    assert found["segments"][0]["words"][0] == {
        "word": "hello",
        "start": 0.5,
        "end": 1.0,
        "score": 0.75,
        "speaker": "channel 0",
    }
    assert [word["word"] for word in found["word_segments"]] == ["hello", "bye", "who", "is"]
    for name in ("quotes", "line\nbreak", "silence"):
        path = there / "whisperx" / file_name(name, ".json")
        read = pysubs2.load_from_whisper(json.loads(path.read_text(encoding="utf-8")))
        assert spaced(" ".join(cue.plaintext for cue in read)) == (said(name) if name != "silence" else "")
    assert json.loads((there / "whisperx/quotes.json").read_text())["language"] == "en"


def test_a_dataset_is_loaded_with_every_row_and_its_words(there: Path, tmp_path: Path) -> None:
    found = datasets.load_dataset(str(there / "dataset"), split="train", cache_dir=str(tmp_path))
    assert len(found) == len(ROWS)
    call = [row for row in found if row["recording_id"] == "call"]
    assert [row["segments"][0]["words"][0]["word"] for row in call] == ["hello", "who"]
    assert found[len(ROWS) - 1]["error"]["class"] == "NotFound"


def test_a_csv_file_has_every_row_as_it_is(there: Path) -> None:
    table = pd.read_csv(there / "csv/part-00000.csv", keep_default_na=False)
    assert list(table["recording_id"]) == [row["recording_id"] for row in ROWS]
    assert table["text"][2] == BROKEN[0]["text"]
    assert table["error_message"].iloc[-1] == 'no "file", sorry\nreally'
    assert list(table["channel"][7:9]) == ["0", "1"]
    assert table["reference"][1] == "a\rb", "a carriage return would end the row"
    assert table["reference"][4] == "=1+1", "a transcript is no formula, and is not changed"
    with (there / "csv/part-00000.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == 1 + len(ROWS)


def test_what_is_odd_about_channels_and_times_fits_a_screen_and_a_scorer(tmp_path: Path) -> None:
    early = {"recording_id": "early", "segments": words(("before", -0.5, 0.5), ("after", 0.5, 1.0))}
    many = [{"recording_id": "many", "channel": channel, "segments": LONG, "seconds": 30.0} for channel in (0, 11)]
    output = write_rows(tmp_path / "out", {"000001-000000-x": [early, *many]})
    export(Export(output, to=str(tmp_path / "to"), formats=("srt", "ctm")))
    cues = pysubs2.load(str(tmp_path / "to/srt/many.srt"))
    assert {cue.plaintext.split("]")[0] for cue in cues} == {"[0", "[11"}
    assert max(len(line) for cue in cues for line in cue.plaintext.split("\n")) <= 42
    assert pysubs2.load(str(tmp_path / "to/srt/early.srt"))[0].start == 0
    assert "early 1 0.000 0.500 before" in (tmp_path / "to/ctm/part-00000.ctm").read_text()


NAMES = [
    "a",
    "a.srt",
    "a.srt/b",
    "a/b",
    "/etc/passwd",
    "..",
    "../../x",
    ".hidden",
    "a//b",
    "a/./b",
    "",
    "nul\0",
    "c:\\x",
    "%2E%2E",
    "é",
    "x" * 300,
    "x" * 299 + "y",
]


def test_no_id_leaves_the_folder_and_no_two_share_a_file(tmp_path: Path) -> None:
    found = {file_name(name, ".srt") for name in NAMES}
    assert len(found) == len(NAMES)
    for name in found:
        path = tmp_path / name
        assert path.resolve().is_relative_to(tmp_path)
        assert ".." not in name.split("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert len([path for path in tmp_path.rglob("*.srt") if path.is_file()]) == len(NAMES)
    assert file_name("corpus/one.wav", ".srt") == "corpus/one.wav.srt"


def test_files_of_many_recordings_are_written_in_pieces() -> None:
    piece, found = Lines("ctm", ".ctm", "head\n", full=10), []
    for number in range(5):
        piece.add(f"line {number}\n")
        found += list(piece.files(last=False))
    found += list(piece.files(last=True))
    assert [name for name, _ in found] == ["ctm/part-00000.ctm", "ctm/part-00001.ctm", "ctm/part-00002.ctm"]
    assert found[1][1] == b"head\nline 2\nline 3\n"
    assert dict(Dataset().files(last=True))["dataset/README.md"].startswith(b"---\nconfigs:")


def test_an_output_that_is_not_finished_is_exported_as_far_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = write_rows(tmp_path / "out", {"000001-000000-x": ROWS[:2]}, unfinished=["000001-000001-x"])
    assert main(["export", output, "--to", str(tmp_path / "to"), "--format", "srt"]) == FINE
    assert "1 of 2 shards are missing" in capsys.readouterr().out
    assert main(["export", output, "--to", str(tmp_path / "to"), "--format", "srt", "--json"]) == FINE
    assert "1 of 2 shards are missing" in capsys.readouterr().err, "a program may not look"
    assert len(list((tmp_path / "to").rglob("*.srt"))) == 2


def test_writing_again_replaces_what_an_earlier_export_left(tmp_path: Path) -> None:
    output = write_rows(tmp_path / "out", {"000001-000000-x": ROWS[:2]})
    (tmp_path / "to/csv").mkdir(parents=True)
    mine = {"mine.csv", "part-00007.xlsx", "part-7.csv", "part-00007.csv.bak"}
    for name in ("part-00000.csv", "part-00007.csv", *mine):
        (tmp_path / "to/csv" / name).write_text("old")
    assert main(["export", output, "--to", str(tmp_path / "to"), "-f", "csv"]) == FINE
    assert {path.name for path in (tmp_path / "to/csv").iterdir()} == {"part-00000.csv", *mine}
    assert len(pd.read_csv(tmp_path / "to/csv/part-00000.csv")) == 2


FORMER: list[Told] = [{"recording_id": name, "segments": words(("said", 0.0, 1.0))} for name in ("a", "b", "c/d", "e")]


def test_files_of_recordings_that_have_no_text_any_more_are_removed_and_nothing_of_the_users(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to, failed = tmp_path / "to", {"status": "failed", "text": None, "error": NOT_FOUND}
    first = write_rows(tmp_path / "first", {"000001-000000-x": FORMER})
    lost = [{"recording_id": row["recording_id"], **failed} for row in FORMER[1:]]
    second = write_rows(tmp_path / "second", {"000001-000000-x": lost})
    assert main(["export", first, "--to", str(to), "-f", "srt", "-f", "vtt"]) == FINE
    own = {"mine.srt": b"1\n", "c/notes.txt": b"my own", "e.srt": b"corrected by hand"}
    written(to / "srt", own)
    capsys.readouterr()
    assert main(["export", second, "--to", str(to), "-f", "srt"]) == FINE
    assert "3 files of an earlier export did not belong any more: removed." in capsys.readouterr().out
    left = {
        str(path.relative_to(to / "srt")): path.read_bytes() for path in (to / "srt").rglob("*.*") if path.is_file()
    }
    assert left.pop(".exported") == b""
    assert left == own
    assert len(list((to / "vtt").rglob("*.vtt"))) == 4, "it was not asked for"


def test_an_export_that_breaks_off_forgets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    to, rows = tmp_path / "to", FORMER
    before = write_rows(tmp_path / "first", {"000001-000000-x": rows[:2]})
    after = write_rows(tmp_path / "second", {"000001-000000-x": rows[2:3], "000001-000001-x": rows[3:]})
    last = write_rows(tmp_path / "third", {"000001-000000-x": rows[:1]})
    export(Export(before, to=str(to), formats=("srt",)))
    put = Store.put

    def broken(self: Store, name: str, payload: bytes) -> None:
        if name == "srt/e.srt":
            raise StoreError("Full", "the disk is full")
        put(self, name, payload)

    monkeypatch.setattr(Store, "put", broken)
    with pytest.raises(StoreError, match="the disk is full"):
        export(Export(after, to=str(to), formats=("srt",)))
    monkeypatch.undo()
    assert {path.name for path in to.rglob("*.srt")} == {"a.srt", "b.srt", "d.srt"}
    export(Export(last, to=str(to), formats=("srt",)))
    assert {path.name for path in to.rglob("*.srt")} == {"a.srt"}


def test_a_table_without_rows_is_files_without_rows(tmp_path: Path) -> None:
    output = write_rows(tmp_path / "out", {"000001-000000-x": ROWS[-1:]})
    shutil.rmtree(Path(output) / "transcripts")
    stamp = Stamp(read_identity(Store(output)).fingerprint, "run", 1)
    commit(Store(output), "000001-000000-x", GATHERED.empty_table(), (), stamp)
    export(Export(output, to=str(tmp_path / "to"), formats=FORMATS))
    found = pd.read_parquet(tmp_path / "to/dataset/data/train-00000.parquet")  # load_dataset wants a row at least
    assert (len(found), "recording_id" in found.columns) == (0, True)
    assert (tmp_path / "to/csv/part-00000.csv").read_text().startswith("recording_id,uri,")
    assert [path.read_bytes() for path in (tmp_path / "to").glob("ctm/*")] == [b""]


def refusable(at: Path, **changed: str | tuple[str, ...]) -> Export:
    """What can be exported, but for what is changed."""
    output = at / "out"
    if not output.exists():
        write_rows(output, {"000001-000000-x": ROWS[:1]})
    return replace(Export(str(output), to=str(at / "to"), formats=("srt",)), **changed)  # type: ignore[arg-type]


def of_units(at: Path) -> Export:
    write_rows(at / "out", {"000001-000000-x": ROWS[:1]}, options={"job": "units"})
    return refusable(at)


def of_labels(at: Path) -> Export:
    write_rows(at / "out", {"000001-000000-x": ROWS[:1]}, options={"job": "label"})
    return refusable(at, formats=("srt", "csv"))


def of_nothing(at: Path) -> Export:
    write_rows(at / "out", {}, unfinished=["000001-000000-x"])
    return refusable(at)


REFUSED: dict[str, tuple[Callable[[Path], Export], str]] = {
    "no output": (lambda at: refusable(at, output=str(at / "nowhere")), "holds no output of steno"),
    "nothing finished": (of_nothing, "has no rows yet"),
    "an unknown format": (lambda at: refusable(at, formats=("sbv",)), "'sbv'"),
    "labels": (of_labels, "no text for srt"),
    "units": (of_units, "holds units, and no text for srt"),
    "onto the table": (lambda at: refusable(at, to=str(at / "out/transcripts")), "the table itself lies there"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_exported_is_told(reason: str, tmp_path: Path) -> None:
    options, complaint = REFUSED[reason]
    with pytest.raises(SetupError, match=re.escape(complaint)):
        export(options(tmp_path))


def test_problems_are_told_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", str(tmp_path / "no"), "--to", "ftp://x", "-f", "sbv", "--lines", "0"]
    assert main(arguments) == UNUSABLE
    told = capsys.readouterr().err
    for part in ("holds no output", "ftp", "'sbv'", "lines is 0"):
        assert part in told


def test_a_bucket_takes_an_export(tmp_path: Path, moto_s3: str) -> None:
    output = write_rows(tmp_path / "out", {"000001-000000-x": ROWS})
    written = export(Export(output, to=f"{moto_s3}/to", formats=("srt", "csv")))
    assert written.files == {"srt": 10, "csv": 1}
    again = export(
        Export(write_rows(f"{moto_s3}/out", {"000001-000000-x": ROWS}), to=str(tmp_path / "to"), formats=("ctm",))
    )
    assert again.rows == written.rows
