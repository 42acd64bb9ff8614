"""What a batch gives when the device's memory is short, or the device itself is lost."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from jobs import Transcribe, transcribe
from jobs.work import Report
from models import SpeechModel
from models.protocol import Padded
from pipeline import inference, reading, tasks
from pipeline.audio import AudioRules, segments
from pipeline.batches import Ready, pack
from pipeline.inference import Device, Listener
from pipeline.room import REMEMBERED, Room
from pipeline.schema import Recording, Segment
from tests.faults.runs import MODEL, Row, engineless, failures, rows, spoken

CLIPS = 9
FITS = 2
WIDTH = 80
"""Features of a frame, for the demo's model."""
Owners = Sequence[dict[str, str]]
Refuses = Callable[[int, Owners], Exception | None]
"""What a call of the model raises instead of hearing these clips; it is told how many came before, itself included."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spoken(tmp_path_factory.mktemp("spoken") / "corpus", CLIPS)


@pytest.fixture(scope="module")
def untroubled(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    output = tmp_path_factory.mktemp("untroubled")
    assert heard(corpus, output).splits == 0
    return rows(output)


def heard(corpus: Path, output: Path) -> Report:
    with engineless():
        return transcribe(Transcribe((str(corpus),), str(output), str(MODEL), shard_size=CLIPS))


class Decoder:
    """Decodes here: none of these recordings is dangerous."""

    def __init__(self, rules: AudioRules) -> None:
        self.rules = rules

    def segments(self, recording: Recording) -> Iterator[Segment]:
        return segments(recording, self.rules)


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Callable[[Refuses], list[int]]:
    """Have the model refuse; gives the sizes of the batches that it is tried with."""

    def begin(refuses: Refuses) -> list[int]:
        hear, tried = tasks.Transcription.hear, list[int]()

        def troubled(self: tasks.Transcription, model: SpeechModel, batch: Padded, owners: Owners) -> object:
            tried.append(len(owners))
            if (error := refuses(len(tried), owners)) is not None:
                raise error
            return hear(self, model, batch, owners)

        monkeypatch.setattr(tasks.Transcription, "hear", troubled)
        monkeypatch.setattr(reading, "Decoder", Decoder)
        return tried

    return begin


def short(_: int, owners: Owners) -> Exception | None:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB") if len(owners) > FITS else None


def test_a_batch_that_does_not_fit_is_halved_and_its_table_is_that_of_one_that_does(
    corpus: Path, untroubled: list[Row], tmp_path: Path, trouble: Callable[[Refuses], list[int]]
) -> None:
    tried = trouble(short)
    report = heard(corpus, tmp_path)
    assert max(tried) > FITS, "something had to be halved"
    assert report.splits > 0 and report.passes == 1
    assert rows(tmp_path) == untroubled
    assert all(row["text"] for row in untroubled)


def test_a_clip_that_found_no_room_once_is_heard_in_a_later_pass(
    corpus: Path, untroubled: list[Row], tmp_path: Path, trouble: Callable[[Refuses], list[int]]
) -> None:
    last = Path(str(untroubled[-1]["uri"])).name
    gone: list[int] = []

    def once(call: int, owners: Owners) -> Exception | None:
        if gone or not any(last in owner["uri"] for owner in owners):
            return None
        gone.extend([call] if len(owners) == 1 else [])
        return torch.OutOfMemoryError("CUDA out of memory")

    trouble(once)
    assert heard(corpus, tmp_path).passes == 2
    assert rows(tmp_path) == untroubled


def test_a_clip_that_never_fits_is_a_row_that_says_so_and_its_neighbours_are_untouched(
    corpus: Path, untroubled: list[Row], tmp_path: Path, trouble: Callable[[Refuses], list[int]]
) -> None:
    last = Path(str(untroubled[-1]["uri"])).name
    trouble(lambda _, owners: MemoryError() if any(last in owner["uri"] for owner in owners) else None)
    assert heard(corpus, tmp_path).passes == 3, "two passes in which it is alone"
    found = rows(tmp_path)
    assert failures(found) == {last: "OutOfMemory"}
    assert found[:-1] == untroubled[:-1]


def test_what_did_not_fit_is_not_tried_again_at_once(trouble: Callable[[Refuses], list[int]]) -> None:
    tried = trouble(short)
    hears = Listener(Device(str(MODEL)))
    hears(batch(4))
    assert tried == [4, 2, 2]
    tried.clear()
    assert hears(batch(4))["effort"][0].as_py()["splits"] == 1
    assert tried == [2, 2]
    hears(batch(2))
    assert tried == [2, 2, 2]


def test_after_a_while_there_may_be_room_again() -> None:
    room = Room()
    room.lacked([9.0, 9.0])
    assert room.holds([9.0]) and room.holds([8.0, 8.0]) and room.holds([99.0])
    for _ in range(REMEMBERED):
        assert not room.holds([9.0, 9.0]) and not room.holds([6.0, 6.0, 6.0, 6.0])
        room.held()
    assert room.holds([9.0, 9.0])


LOST = [
    torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(...)`"),
]


@pytest.mark.parametrize("error", LOST, ids=["typed", "in words"])
def test_a_process_whose_device_is_lost_ends_instead_of_failing_its_clips(
    error: Exception,
    trouble: Callable[[Refuses], list[int]],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    tried, ended = trouble(lambda *_: error), list[int]()
    monkeypatch.setattr(inference, "end", ended.append)
    with pytest.raises(type(error)):
        Listener(Device(str(MODEL)))(batch(3))
    assert (ended, tried) == ([1], [3])
    assert str(error) in capfd.readouterr().err


@pytest.mark.parametrize("said", ["out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"])
def test_a_device_without_memory_is_not_lost(
    said: str, trouble: Callable[[Refuses], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "end", pytest.fail)
    tried = trouble(lambda _, owners: torch.AcceleratorError(f"CUDA error: {said}") if len(owners) > FITS else None)
    Listener(Device(str(MODEL)))(batch(3))
    assert tried == [3, 1, 2]


def test_a_clip_that_the_model_refuses_is_refused_in_its_words(trouble: Callable[[Refuses], list[int]]) -> None:
    trouble(lambda *_: ValueError("too strange\nfor words"))
    (row,) = Listener(Device(str(MODEL)))(batch(1)).to_pylist()
    assert row["key"]["failure"] == {
        "class": "Refused",
        "stage": "inference",
        "message": "too strange",
        "status": "failed",
    }


def batch(clips: int) -> pa.Table:
    """A second of noise, so many times."""
    owner = {"shard": "s", "index": 0, "start": 0, "samples": 16_000, "uri": "noise"}
    features = torch.randn(100, WIDTH).numpy()
    return pack([Ready({**owner, "ordinal": number}, features, 1.0) for number in range(clips)])
