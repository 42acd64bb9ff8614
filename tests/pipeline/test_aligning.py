"""Alignment: where texts come from, how a recording's pieces stay together, and what the row says."""

import gzip
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor

from jobs.demo.recordings import heard
from jobs.demo.truth import read_truth
from models import alignment, load_model
from models.alignment import Alignment
from models.frontend import Frontend
from models.lattice import Path as Way
from models.lattice import find_paths
from models.long_alignment import Heard, align_recordings
from models.model import SpeechModel
from models.transcript import Scribe
from pipeline import aligning
from pipeline.aligning import Aligned, Aligning, verdict
from pipeline.audio import AudioRules, segments
from pipeline.batches import Ready, census, pack
from pipeline.bucketing import Buckets
from pipeline.features import features
from pipeline.gathering import Gathering
from pipeline.inference import Device, Listener
from pipeline.references import NONE, References, ReferencesError
from pipeline.schema import Recording
from pipeline.stitching import Making, Piece, Word
from pipeline.together import groups, whole_batches
from tests.pipeline.sounds import encode

DEMO = Path(__file__).parents[2] / "jobs" / "demo"
LASR = str(DEMO / "checkpoints" / "lasr")
SOME = AudioRules(longest_seconds=8.0, shortest_seconds=3.0)


def ready(ordinal: int, index: int, last: bool, seconds: float = 1.0, channel: int | None = None) -> Ready:
    key = {"shard": "s", "ordinal": ordinal, "channel": channel, "index": index, "last": last}
    return Ready(key, np.zeros(10, np.float32), seconds)


CENSUS = Ready({"shard": "s", "census": 2}, None)


def numbers(batch: list[Ready]) -> list[tuple[object, object]]:
    return [(each.key.get("ordinal"), each.key.get("index")) for each in batch]


def test_the_pieces_of_a_recording_stay_together() -> None:
    stream = [ready(0, 0, False), ready(0, 1, True), ready(1, 0, True), CENSUS]
    assert [numbers(group) for group in groups(stream)] == [[(0, 0), (0, 1)], [(1, 0)], [(None, None)]]


def test_channels_that_come_in_turns_are_told_apart_and_one_that_never_ends_is_not_kept_for_ever() -> None:
    stream = [
        *(ready(0, 0, False, channel=channel) for channel in (0, 1)),
        ready(0, 1, True, channel=1),
        ready(1, 0, True),
    ]
    assert [numbers(group) for group in groups(stream)] == [[(0, 0), (0, 1)], [(0, 0)], [(1, 0)]]


def test_recordings_share_a_batch_up_to_the_budget_and_a_long_one_goes_alone() -> None:
    long = [ready(0, index, index == 9, seconds=30.0) for index in range(10)]
    short = [ready(number, 0, True, seconds=4.0) for number in range(1, 6)]
    made = [{key for key, _ in numbers(batch)} for batch in whole_batches([*long, *short], Buckets(budget=12.0))]
    assert made == [{0}, {1, 2, 3}, {4, 5}]


def test_texts_come_from_the_file_first_then_from_the_input(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("a b.wav\tfrom the file\nc.wav from a line without a tab\n\n")
    known = References(str(tmp_path / "texts"))
    recording = Recording("s", 0, "a b.wav", "u", b"", reference="from the input")
    assert known.given(recording).reference == "from the file"
    assert known.given(replace(recording, recording_id="other")).reference == "from the input"
    assert known.given(replace(recording, recording_id="c.wav")).reference == "from a line without a tab"


@pytest.mark.parametrize("text", [None, "", "  "])
def test_without_a_text_a_recording_is_skipped_and_not_read(text: str | None) -> None:
    given = References().given(Recording("s", 0, "id", "u", b"audio", reference=text))
    assert given.audio is None
    assert given.failure is not None
    assert (given.failure.kind, given.failure.status) == ("NoReference", "skipped")


def test_a_file_without_texts_is_named(tmp_path: Path) -> None:
    (tmp_path / "texts").write_text("one fine\nalone\n")
    with pytest.raises(ReferencesError, match="line 2: must be a recording's id, a tab, and its text"):
        References(str(tmp_path / "texts")).known()


SAID = {"b/a.wav": "one, two", "c.wav": "three\u2028four"}
FORMS = {
    "pairs": "".join(f"{name}\t{text}\r\n" for name, text in SAID.items()),
    "tsv": "path\tage\tsentence\r\n" + "".join(f'{name}\t"7\t{text}\r\n' for name, text in SAID.items()),
    "csv": "recording_id,channel,text\r\n" + "".join(f'{name},,"{text}"\r\n' for name, text in SAID.items()),
    "jsonl": "".join(json.dumps({"id": name, "text": text}) + "\r\n" for name, text in SAID.items()),
    "manifest": "".join(json.dumps({"audio_filepath": name, "text": text}) + "\n" for name, text in SAID.items()),
}


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("form", FORMS)
def test_texts_are_read_in_every_form_that_scores_are_read_from(form: str, mark: str, tmp_path: Path) -> None:
    file = tmp_path / form
    file.write_bytes(gzip.compress((mark + FORMS[form]).encode()) if form == "csv" else (mark + FORMS[form]).encode())
    known = References(str(file))
    for name, text in SAID.items():
        assert known.given(Recording("s", 0, name, "u", b"")).reference == text
    assert known.given(Recording("s", 0, "other", f"{tmp_path}/c.wav", b"")).reference == (
        SAID["c.wav"] if form == "manifest" else None
    )


def test_a_text_of_a_part_or_of_a_channel_is_given_to_that_alone(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    parts = [{"audio_filepath": "a.wav", "offset": at, "duration": 1.5, "text": f"from {at}"} for at in (0, 1.5)]
    channels = [{"id": "call", "channel": channel, "text": f"voice {channel}"} for channel in (0, 1)]
    twice = [{"id": "twice", "text": text} for text in ("this", "that")]
    file.write_text("".join(f"{json.dumps(each)}\n" for each in [*parts, *channels, *twice]))
    known, whole = References(str(file)), Recording("s", 0, "a.wav@1.500-3.000", f"{tmp_path}/a.wav", b"", begin=1.5)
    assert known.given(replace(whole, duration=1.5)).reference == "from 1.5"
    assert known.given(replace(whole, recording_id="a.wav", begin=0.0)).failure == NONE
    call = replace(whole, recording_id="call", begin=0.0)
    assert known.given(replace(call, channel=1)).reference == "voice 1"
    for name, why in (("call", "a text for each channel"), ("twice", "several texts")):
        failure = known.given(replace(call, recording_id=name, reference="of the input")).failure
        assert failure is not None
        assert (failure.kind, failure.status) == ("NoReference", "skipped")
        assert why in failure.message


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('[{"id": "a", "text": "b"}]', "it is one JSON array"),
        ("name,text\na,b c\n", "its header must have one of recording_id"),
        ("file name,text\na,b c\n", "its header must have one of recording_id"),
        ("a\tb\tc\n", "line 1: must be a recording's id, a tab, and its text, as there is no header"),
        ('{"id": "a"}\n', "has none of reference, text"),
        ("\n", "holds no text"),
        (b"a\t\xff\n", "neither JSON lines nor TSV nor CSV"),
        (b"\x1f\x8bnothing packed", "neither JSON lines nor TSV nor CSV"),
    ],
)
def test_what_is_no_file_of_texts_is_refused(content: str | bytes, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "texts"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ReferencesError, match=complaint):
        References(str(file)).known()


def test_a_text_may_be_hours_long_and_a_word_that_headers_know(tmp_path: Path) -> None:
    long, short = tmp_path / "long.csv", tmp_path / "short.tsv"
    long.write_text(f"id,text\na,{'word ' * 40_000}\n")
    short.write_text("a.wav\tpath\nb.wav\ttext\n")
    assert len(References(str(long)).known().texts["a"]) == 200_000
    assert References(str(short)).known().texts == {"a.wav": "path", "b.wav": "text"}


@pytest.fixture(scope="module")
def model() -> SpeechModel:
    return load_model(LASR)


def read(name: str, text: str, ordinal: int, frontend: Frontend) -> list[Ready]:
    content = (DEMO / "corpus" / name).read_bytes() if "/" in name else encode(np.zeros(32_000, np.float32))
    recording = Recording("s", ordinal, name, name, content, reference=text)
    return list(features(segments(recording, SOME), frontend))


def test_a_long_recording_in_company_is_aligned_as_it_is_alone_and_by_the_truth(model: SpeechModel) -> None:
    """The diary in pieces of some seconds, in one batch with other recordings and silence."""
    truths = {truth.id: truth for truth in read_truth(DEMO / "corpus")}
    diary, other = truths["loose/harbour-diary.opus"], truths["loose/flac-00.flac"]
    pieces = read(diary.file, diary.text, 0, model.frontend)
    assert len(pieces) > 10
    listener = Listener(Device(LASR, task=Aligning()))
    alone = listener(pack(pieces)).to_pylist()
    company = [*read(other.file, other.text, 1, model.frontend), *read("silence", "nothing", 2, model.frontend)]
    together = listener(pack([*company, *pieces[::-1]])).to_pylist()
    (here,) = [row for row in alone if row["alignment"]]
    (there,) = [row for row in together if row["alignment"] and row["key"]["ordinal"] == 0]
    assert [word["word"] for word in here["words"]] == diary.text.split()
    assert [(w["start"], w["end"]) for w in there["words"]] == [(w["start"], w["end"]) for w in here["words"]]
    assert there["alignment"]["loss"] == pytest.approx(here["alignment"]["loss"], abs=1e-2)
    off = [abs(word["start"] / 16_000 - start) for word, (_, start, _) in zip(here["words"], diary.words, strict=True)]
    assert np.median(off) < 0.06 and max(off) < 0.5, (np.median(off), max(off))
    assert here["alignment"]["verdict"] == "fits"
    assert [row["alignment"] for row in together if row["key"]["ordinal"] == 2] == [None]


def shorts(model: SpeechModel) -> list[Ready]:
    known = [truth for truth in read_truth(DEMO / "corpus") if truth.file.startswith("loose/flac")][:3]
    return [piece for i, truth in enumerate(known) for piece in read(truth.file, truth.text, i, model.frontend)]


def words(heard: pa.Table) -> list[list[dict[str, object]]]:
    return [row["words"] for row in heard.to_pylist() if row["alignment"]]


def test_the_recordings_of_a_batch_are_aligned_at_once_and_as_each_is_alone(
    model: SpeechModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, pieces, together = Listener(Device(LASR, task=Aligning())), shorts(model), []
    alone = [listener(pack([piece for piece in pieces if piece.key["ordinal"] == i])) for i in range(3)]

    def counted(logits: Tensor, lengths: list[int], labels: list[list[int]], blank: int) -> list[Way]:
        together.append(len(lengths))
        return find_paths(logits, lengths, labels, blank)

    monkeypatch.setattr(alignment, "find_paths", counted)
    assert words(listener(pack(pieces))) == [each for one in alone for each in words(one)]
    assert together == [3]


def test_a_delay_that_is_told_moves_what_is_aligned(model: SpeechModel) -> None:
    pieces = shorts(model)[:1]
    tasks = (Aligning(delay_seconds=0.0), Aligning(delay_seconds=0.04))
    (late,), (early,) = (words(Listener(Device(LASR, task=task))(pack(pieces))) for task in tasks)
    moved = [int(str(a["end"])) - int(str(b["end"])) for a, b in zip(late, early, strict=True)]
    assert max(moved) == 640


def test_what_the_device_has_no_room_for_is_aligned_on_the_cpu(
    model: SpeechModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, pieces = Listener(Device(LASR, task=Aligning())), shorts(model)[:2]
    wanted, refusals = words(listener(pack(pieces))), [torch.OutOfMemoryError("no room")]

    def full(recordings: list[Heard], scribe: Scribe, blank: int) -> list[Alignment | None]:
        if refusals:
            raise refusals.pop()
        return align_recordings(recordings, scribe, blank)

    monkeypatch.setattr(aligning, "align_recordings", full)
    assert words(listener(pack(pieces))) == wanted != []
    assert not refusals


@pytest.mark.gpu
def test_on_a_gpu_texts_are_aligned_where_the_model_is(model: SpeechModel, monkeypatch: pytest.MonkeyPatch) -> None:
    places, device = [], torch.device("cuda")

    def placed(logits: Tensor, lengths: list[int], labels: list[list[int]], blank: int) -> list[Way]:
        places.append(logits.device.type)
        return find_paths(logits, lengths, labels, blank)

    monkeypatch.setattr(alignment, "find_paths", placed)
    here, there = (Listener(Device(LASR, device=name, task=Aligning())) for name in ("cpu", device.type))
    pieces = shorts(model)
    wanted, found = words(here(pack(pieces))), words(there(pack(pieces)))
    assert places == ["cpu", device.type]
    for mine, theirs in zip(found, wanted, strict=True):
        assert [word["word"] for word in mine] == [word["word"] for word in theirs]
        assert max(abs(one["start"] - other["start"]) for one, other in zip(mine, theirs, strict=True)) <= 640


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text, "fits"),
        (lambda text: f"{text} and then {text} and more", "text is longer"),
        (lambda text: " ".join(text.split()[:3]), "text is shorter"),
        (lambda text: text * 40, "no room"),
    ],
)
def test_a_text_that_is_not_the_audios_is_told(change: object, said: str, model: SpeechModel) -> None:
    truth = next(truth for truth in read_truth(DEMO / "corpus") if truth.file.startswith("loose/flac"))
    clip = heard((DEMO / "corpus" / truth.file).read_bytes())[0]
    (found,) = model.align(model.frontend([clip]), [change(truth.text)])  # type: ignore[operator]
    assert isinstance(found, Alignment)
    assert verdict(found) == said


@pytest.mark.slow
@pytest.mark.parametrize("classes", [32, 512])
def test_an_hour_takes_little_memory_beside_its_frames(classes: int) -> None:
    """The whole lattice would remember 16 GB; a band, one more copy of the frames, and what words need."""
    command = [sys.executable, "-m", "tests.pipeline.an_hour", "60", str(classes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=True)
    told = json.loads(done.stdout)
    assert (told["words"], told["exact"]) == (told["of"], True)
    assert told["off"] < 0.15
    assert told["peak"] < 2 * told["frames"] + 100e6, f"{told['peak'] / 1e6:.0f} MB"


def test_what_no_token_spells_is_in_the_table_even_inside_a_word(model: SpeechModel) -> None:
    truth = next(truth for truth in read_truth(DEMO / "corpus") if truth.file.startswith("loose/flac"))
    first, second, *rest = truth.text.split()
    inside = f"{first[0]}7{first[1:]}"
    pieces = read(truth.file, " ".join([inside, "1984", second, *rest]), 0, model.frontend)
    heard = Listener(Device(LASR, task=Aligning()))(pack([*pieces, census("s", 1)]))
    (shard,) = Gathering(Making("model", "run", 16_000, stitch=Aligned())).take(heard)
    (row,) = shard.table.to_pylist()
    told = [(word["word"], word["aligned"], word["missing"]) for part in row["segments"] for word in part["words"]]
    assert told[:2] == [(inside, True, "7"), ("1984", False, "1984")]
    assert told[2:] == [(word, True, None) for word in (second, *rest)]


def test_a_row_says_what_was_aligned_and_what_was_not() -> None:
    words = (Word("at", 0, 20, 0.9, True), Word("42", 20, 90, 0.0, False), Word("sharp", 200, 230, 0.8, True))
    told = {"loss": 3.5, "verdict": "fits", "heard": 8, "expected": 7, "coverage": 0.9, "exact": True}
    pieces = [Piece((0, 100), 100, "at 42 sharp", words, {}, 1.0, told), Piece((100, 300), 300, None, (), {}, 2.0)]
    row = Aligned().row(pieces, Making("model", "run", 100))
    assert (row["status"], row["text"], row["ctc_loss"]) == ("ok", "at 42 sharp", 3.5)
    assert row["alignment"] == {name: value for name, value in told.items() if name != "loss"}
    segments = row["segments"]
    assert isinstance(segments, list)
    assert [[word["aligned"] for word in part["words"]] for part in segments] == [[True, False], [True]]
