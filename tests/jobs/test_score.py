"""`steno score`: figures that were counted by hand, what is left out, and who is shown first."""

import gzip
import json
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from jobs import Score, SetupError, score
from jobs.cli import main
from jobs.exits import FINE, UNUSABLE
from jobs.side_by_side import side_by_side
from pipeline.scoring import Edits
from tests.jobs.finished import failed, spoken, write_output

SAID = {"a": "the cat sat on the mat", "b": "one two three four", "c": "hello there", "d": "lost"}
READ = {"a": "the cat sat on a mat", "b": "one three four five six", "c": "hello there"}
"""a: a substitution in 6; b: a deletion and two insertions in 4; c: nothing in 2."""


@pytest.fixture
def output(tmp_path: Path) -> str:
    rows = [spoken(name, text, reference=SAID[name]) for name, text in READ.items()]
    return write_output(tmp_path / "out", [rows, [failed("d", reference=SAID["d"]), spoken("e", "who knows")]])


@pytest.fixture
def unlabelled(tmp_path: Path) -> str:
    return write_output(tmp_path / "plain", [[spoken(name, text) for name, text in READ.items()]])


def test_errors_are_counted_by_kind_for_words_and_characters(output: str) -> None:
    found = score(Score(output))
    assert found.words == Edits(substitutions=1, deletions=1, insertions=2, length=12)
    assert found.words.rate == pytest.approx(4 / 12)
    assert found.characters.length == 22 + 18 + 11
    assert (found.rows, found.unread, found.without_reference, found.seconds) == (3, 1, 1, 3.0 + 2.5 + 1.0)
    assert (found.normalisation, found.missing_shards, found.note) == ("standard", 0, "")


def test_the_worst_come_first_by_words_or_by_characters(tmp_path: Path) -> None:
    letters = spoken("letters", "xxxxxxxxx two three", reference="a two three")
    words = spoken("words", "an to three", reference="a two three")
    output = write_output(tmp_path, [[spoken("good", "x", reference="x"), letters, words]])
    assert [each.recording_id for each in score(Score(output)).worst] == ["words", "letters", "good"]
    assert [each.recording_id for each in score(Score(output, by="cer")).worst] == ["letters", "words", "good"]
    assert [each.recording_id for each in score(Score(output, worst=1)).worst] == ["words"]


@pytest.mark.parametrize(("rule", "wrong"), [("standard", 0), ("punctuated", 1), ("none", 2)])
def test_the_normalisation_is_chosen_and_stated(
    rule: str, wrong: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = write_output(tmp_path, [[spoken("a", "yes he did", reference="Yes, he DID")]])
    assert score(Score(output, normalisation=rule)).words.substitutions == wrong
    assert main(["score", output, "--normalisation", rule]) == FINE
    assert f"normalisation  {rule}: " in capsys.readouterr().out


FILES = {
    "manifest.json": "\n".join(json.dumps({"audio_filepath": f"/corpus/{n}", "text": t}) for n, t in SAID.items()),
    "lines.jsonl": "\n".join(json.dumps({"recording_id": n, "reference": t, "x": [1]}) for n, t in SAID.items()) + "\n",
    "table.tsv": "path\tage\tsentence\n" + "".join(f'{n}\t"7\t{t}\n' for n, t in SAID.items()),
    "table.csv": "id,text\r\n" + "".join(f'{n},"{t}"\r\n' for n, t in SAID.items()),
    "text": "".join(f"{n} {t}\n" for n, t in SAID.items()),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packed", [False, True])
def test_references_come_from_a_file(name: str, packed: bool, unlabelled: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(gzip.compress(FILES[name].encode()) if packed else FILES[name].encode())
    found = score(Score(unlabelled, references=str(file)))
    assert found.words == Edits(substitutions=1, deletions=1, insertions=2, length=12)


def test_a_quoted_cell_may_hold_lines_and_a_file_may_begin_with_a_mark(tmp_path: Path) -> None:
    output = write_output(tmp_path / "out", [[spoken("a,1", 'she said "no" twice')]])
    file = tmp_path / "said.csv"
    file.write_text('\ufeffid,text\n"a,1","she said\n""no"" twice"\n', encoding="utf-8")
    assert score(Score(output, references=str(file))).words == Edits(length=4)


def test_the_table_comes_before_the_file(output: str, tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    file.write_text('{"id": "a", "text": "something else entirely"}\n{"id": "e", "text": "who knows"}\n')
    found = score(Score(output, references=str(file)))
    assert found.words == Edits(substitutions=1, deletions=1, insertions=2, length=14)


def test_a_name_with_two_texts_says_nothing(unlabelled: str, tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    lines = [("a", "x"), ("a", "y"), ("b", SAID["b"]), ("c", SAID["c"]), ("c", SAID["c"])]
    file.write_text("".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in lines))
    found = score(Score(unlabelled, references=str(file)))
    assert (found.contradictory, found.rows, found.without_reference) == (1, 2, 1)


def test_channels_are_held_against_their_own_reference_or_none(tmp_path: Path) -> None:
    call = [spoken("call", text, channel=channel) for channel, text in enumerate(("hello", "good day"))]
    output = write_output(tmp_path / "out", [[*call, spoken("x", "one", reference="one", channel=0)]])
    whole, apart = tmp_path / "whole.jsonl", tmp_path / "apart.csv"
    whole.write_text('{"id": "call", "text": "hello good day"}')
    apart.write_text("id,channel,text\ncall,0,hello\ncall,1,bad day\n")
    shared = score(Score(output, references=str(whole)))
    assert (shared.shared, shared.rows) == (2, 1)
    assert score(Score(output, references=str(apart))).words == Edits(substitutions=1, length=4)


def test_silence_where_something_was_said_is_all_deletions(tmp_path: Path) -> None:
    output = write_output(tmp_path, [[spoken("a", "", reference="one two")]])
    assert score(Score(output)).words == Edits(deletions=2, length=2)


def test_each_word_stands_over_what_was_read_and_errors_are_marked() -> None:
    assert side_by_side("the cat sat on my mat", "a cat on my mat it") == "\n".join(
        [
            "  reference  the cat sat on my mat **",
            "  read       a   cat *** on my mat it",
            "             S       D             I",
        ]
    )


def test_wide_letters_and_marks_keep_their_columns() -> None:
    reference, read, marks = side_by_side("日本 a", "日 b").split("\n")
    assert (reference, read) == ("  reference  日本 a", "  read       日   b")
    assert marks == "             S    S"
    assert side_by_side("e\u0301 x", "e y").split("\n")[1] == "  read       e y"


def test_only_lines_with_errors_are_shown_of_a_long_recording() -> None:
    words = [f"word{number:03}" for number in range(500)]
    shown = side_by_side(" ".join(words), " ".join(["WRONG" if word == "word400" else word for word in words]))
    assert len(shown.split("\n")) == 3
    assert "WRONG" in shown
    many = side_by_side(" ".join(words), " ".join("x" * len(words)))
    assert many.endswith("more lines with errors")


def test_every_recording_goes_to_a_file_the_worst_first(output: str, tmp_path: Path) -> None:
    for name in ("scores.parquet", "scores.csv"):
        score(Score(output, to=str(tmp_path / "new" / name)))
    table = pq.read_table(tmp_path / "new" / "scores.parquet")
    assert table["recording_id"].to_pylist() == ["b", "a", "c"]
    assert table["word_insertions"].to_pylist() == [2, 0, 0]
    assert table["wer"].to_pylist() == pytest.approx([3 / 4, 1 / 6, 0])
    assert table["text"].to_pylist() == [READ[name] for name in "bac"]
    assert pyarrow.csv.read_csv(tmp_path / "new" / "scores.csv").drop(["channel", "confidence"]).to_pylist() == (
        table.drop(["channel", "confidence"]).to_pylist()
    )


def test_a_bucket_is_read_and_written(moto_s3: str) -> None:
    output = write_output(f"{moto_s3}/out", [[spoken("a", "one too", reference="one two")]])
    assert score(Score(output, to=f"{moto_s3}/scores.parquet")).words == Edits(substitutions=1, length=2)
    from pipeline.storage import open_input

    with open_input(f"{moto_s3}/scores.parquet") as file:
        assert pq.read_table(file)["wer"].to_pylist() == [0.5]


def test_the_command_tells_people_and_programs(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", output]) == FINE
    said = capsys.readouterr().out
    for part in (
        "3 rows, 6 s of audio",
        "1 without a reference, 1 that failed or were skipped",
        "words           33.33%              1          1           2  12",
        "  reference  one two three four **** ***",
        "  read       one *** three four five six",
    ):
        assert part in said
    assert main(["score", output, "--json", "--worst", "1"]) == FINE
    found = json.loads(capsys.readouterr().out)
    assert found["wer"] == pytest.approx(1 / 3)
    assert found["words"] == {"substitutions": 1, "deletions": 1, "insertions": 2, "length": 12}
    assert [each["recording_id"] for each in found["worst"]] == ["b"]


def test_names_that_command_a_terminal_are_spelled_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", write_output(tmp_path, [[spoken("\x1b[31mred", "one", reference="two")]])]) == FINE
    assert "\x1b" not in capsys.readouterr().out


def test_an_unfinished_output_is_scored_as_far_as_it_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = write_output(tmp_path, [[spoken("a", "one", reference="one")]], missing=2)
    assert main(["score", output]) == FINE
    said = capsys.readouterr()
    assert all("not finished: 2 of 3 shards are missing" in part for part in (said.out, said.err))
    assert score(Score(output)).missing_shards == 2


def test_what_cannot_be_scored_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(tmp_path / "nothing")]) == UNUSABLE
    assert "holds no output of steno" in capsys.readouterr().err
    empty = write_output(tmp_path / "empty", [], missing=1)
    assert main(["score", empty]) == UNUSABLE
    assert "has no rows yet: 1 shard is planned" in capsys.readouterr().err
    plain = write_output(tmp_path / "plain", [[spoken("folder/a.wav", "one")]])
    assert main(["score", plain]) == UNUSABLE
    assert "--references" in capsys.readouterr().err
    file = tmp_path / "said.csv"
    file.write_text("id,text\nb.wav,one\n")
    assert main(["score", plain, "--references", str(file)]) == UNUSABLE
    assert "'b.wav', say, and the output 'folder/a.wav'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("job", "said"), [("label", "holds labels"), ("embed", "vectors"), ("units", "units"), ("align", "laid onto")]
)
def test_what_is_no_transcript_is_not_scored(job: str, said: str, tmp_path: Path) -> None:
    output = write_output(tmp_path, [[spoken("a", "one", reference="one")]], job=job)
    with pytest.raises(SetupError, match=said):
        score(Score(output))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("name,text\na,b\n", "its header must have one of recording_id"),
        ("id,text\na\n", "said.csv line 2: has 1 columns, the header 2"),
        ('{"id": "a", "text": "b"}\n{"id": "a"}', "line 2: has none of reference, text"),
        ('{"id": "a", "text": "b"}\n{"id"', "line 2 is not JSON"),
        (b"id,text\na,\xff\xfe\n", "neither JSON lines nor TSV nor CSV"),
        (None, "no such file"),
    ],
)
def test_references_that_cannot_be_read_are_told(
    content: str | bytes | None, complaint: str, unlabelled: str, tmp_path: Path
) -> None:
    file = tmp_path / "said.csv"
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(SetupError, match=complaint):
        score(Score(unlabelled, references=str(file)))


def test_options_that_cannot_be_meant_are_told_together(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    inside = f"{output}/transcripts/x.csv"
    command = ["score", output, "--by", "ser", "--normalisation", "nice", "--worst", "-1", "--to", inside]
    assert main(command) == UNUSABLE
    said = capsys.readouterr().err
    for part in ("normalisation is 'nice'", "by is 'ser'", "worst is -1", "where the output itself lies"):
        assert part in said
    assert main(["score", output, "--to", "scores.txt"]) == UNUSABLE
    assert "must end in .parquet or .csv" in capsys.readouterr().err
