"""`steno align`: the demo's texts on its recordings, and what is refused before anything starts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.dataset
import pytest
import soundfile

from jobs.aligning import Align, planning, task, unsaid
from jobs.cli import main
from jobs.demo.truth import read_truth
from jobs.exits import FINE, UNUSABLE
from jobs.planning import Once
from jobs.setup import Ready, SetupError, checked
from pipeline.output import claim
from tests.jobs.finished import failed, spoken, write_output

DEMO = Path(__file__).parents[2] / "jobs" / "demo"
CORPUS, SPELLER = DEMO / "corpus", DEMO / "checkpoints" / "lasr"
Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Typed:
    """`steno align` in this process: exit code, and all that it says."""

    def run(*words: object) -> tuple[int, str]:
        code = main(["align", *map(str, words)])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.mark.ray
def test_texts_of_the_input_and_of_a_file_are_laid_onto_their_audio(typed: Typed, tmp_path: Path) -> None:
    """A manifest with texts; a long recording whose text is in the file; one without any; one that is cut off."""
    truths = {truth.id: truth for truth in read_truth(CORPUS)}
    diary = truths["loose/harbour-diary.opus"]
    folder = tmp_path / "loose"
    folder.mkdir()
    (folder / "harbour-diary.opus").write_bytes((CORPUS / diary.file).read_bytes())
    (folder / "unknown.wav").write_bytes(b"is not even looked at")
    (folder / "broken.wav").write_bytes(b"is looked at")
    soundfile.write(folder / "quiet.wav", np.zeros(32_000), 16_000)
    texts = {"harbour-diary.opus": f"{diary.text} 1984", "quiet.wav": "nothing", "broken.wav": "anything"}
    (tmp_path / "texts").write_text("".join(f"loose/{name}\t{text}\n" for name, text in texts.items()))
    asked = (CORPUS / "manifest" / "manifest.jsonl", folder, "-o", tmp_path / "out", "-m", SPELLER, "--cpus", 2)
    code, told = typed(*asked, "--references", tmp_path / "texts")
    assert code == 1, told
    rows = pyarrow.dataset.dataset(tmp_path / "out" / "transcripts").to_table().to_pylist()
    named = {Path(row["uri"]).name: row for row in rows}
    assert named["unknown.wav"]["status"] == "skipped"
    assert named["unknown.wav"]["error"]["class"] == "NoReference"
    assert (named["quiet.wav"]["status"], named["broken.wav"]["status"]) == ("empty", "failed")
    long = named["harbour-diary.opus"]
    words = [word for part in long["segments"] for word in part["words"]]
    assert (words[-1]["word"], words[-1]["aligned"]) == ("1984", False)
    assert all(word["aligned"] for word in words[:-1])
    off = [abs(word["start"] - start) for word, (_, start, _) in zip(words, diary.words, strict=False)]
    assert len(off) == len(words) - 1 == len(diary.words)
    assert np.median(off) < 0.06, np.median(off)
    manifest = [row for row in rows if "manifest" in row["uri"]]
    assert len(manifest) > 5
    assert {(row["status"], row["alignment"]["verdict"]) for row in manifest} == {("ok", "fits")}
    assert all(0 < row["ctc_loss"] < 60 and row["text"] == row["reference"] and row["wer"] is None for row in manifest)
    assert main(["verify", str(tmp_path / "out")]) == FINE


def test_all_that_is_wrong_is_told_before_anything_starts(typed: Typed, tmp_path: Path) -> None:
    code, told = typed(
        *(CORPUS / "keywords", "-o", tmp_path / "out", "-m", DEMO / "checkpoints" / "keywords"),
        *("--references", tmp_path / "none.txt", "--longest-hours", 0),
    )
    assert code == UNUSABLE
    steps = ("steno: looking ", "steno: reading ")
    lines = [line for line in told.splitlines() if line.startswith("steno: ") and not line.startswith(steps)]
    assert len(lines) == 3, told
    assert "longest_hours is 0.0: it must be more than 0" in lines[0]
    assert "a HubertForSequenceClassification cannot align: a checkpoint with a CTC head does" in lines[1]
    assert lines[2].startswith("steno: references: ")
    assert "none.txt" in lines[2]


@pytest.mark.parametrize("content", ["00-north.opus\tnorth\n", "id,text\n00-north.opus,north\n"])
def test_a_file_that_names_no_recording_is_refused_before_anything_starts(
    content: str, typed: Typed, tmp_path: Path
) -> None:
    texts = tmp_path / "texts"
    texts.write_text(content)
    asked = (CORPUS / "keywords", "-o", tmp_path / "out", "-m", SPELLER, "--references", texts)
    code, told = typed(*asked)
    assert code == UNUSABLE
    assert "references: none of its 1 names is a recording's: it names '00-north.opus', say, and the inputs" in told
    assert "'keywords/00-north.opus'" in told
    assert not (tmp_path / "out/run.json").exists(), "the output is still anybody's"


def test_a_file_that_names_one_recording_or_what_lies_in_a_tar_is_taken(tmp_path: Path) -> None:
    for name, folder in (("keywords/25-bridge.opus", "keywords"), ("elsewhere.wav", "shards")):
        texts = tmp_path / folder
        texts.write_text(f"{name}\tbridge\n")
        options = Align((str(CORPUS / folder),), str(tmp_path / "out"), str(SPELLER), references=str(texts))
        assert planning(options).flaws(None) == []


def test_a_table_in_which_nothing_had_a_text_is_told(tmp_path: Path) -> None:
    lost = failed("a", status="skipped", error={"class": "NoReference", "stage": "sources", "message": "no text"})
    options = Align(("in",), write_output(tmp_path / "none", [[lost, {**lost, "recording_id": "b"}]]), str(SPELLER))
    assert unsaid(options) == "nothing was aligned, as no recording has a text ('a', for example: no text)"
    some = write_output(tmp_path / "some", [[lost, spoken("b", "said")]])
    assert unsaid(replace(options, output=some)) == ""


def test_texts_count_by_what_is_in_them_wherever_they_lie(tmp_path: Path) -> None:
    def ready(texts: Path) -> Ready:
        options = Align((str(CORPUS / "keywords"),), str(tmp_path / "out"), str(SPELLER), references=str(texts))
        return checked(options, task(options), Once(options))

    first, moved, changed = tmp_path / "texts", tmp_path / "moved", tmp_path / "changed"
    first.write_text("a\tone\n")
    moved.write_text("a\tone\n")
    changed.write_text("a\ttwo\n")
    begun = ready(first)
    assert begun.model.device.type == "meta", "the driver keeps no weights"
    claim(begun.store, begun.identity)
    assert ready(moved).identity.fingerprint == begun.identity.fingerprint
    with pytest.raises(SetupError, match=r'option references: "content \w{16}" there, "content \w{16}" here'):
        ready(changed)


def test_a_model_that_writes_with_a_decoder_cannot_align(typed: Typed, tmp_path: Path) -> None:
    code, told = typed(CORPUS / "keywords", "-o", tmp_path / "out", "-m", DEMO / "checkpoints" / "speech2text")
    assert code == UNUSABLE
    assert "a Speech2TextForConditionalGeneration cannot align" in told
