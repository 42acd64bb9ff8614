"""Which channel of a file a line is of, where it says so."""

from pathlib import Path

import pytest

from tests.pipeline.corpora import clip, jsonl, kinds, read, written


def test_a_segment_of_a_channel_that_is_no_number_is_not_heard_in_all(tmp_path: Path) -> None:
    segments = b"u1 r 0 1 A\nu2 r 0 1 1\nu3 r 0 1 -1\nu4 r 0 1 1.0\n"
    written(tmp_path, {"wav.scp": b"r 1.wav\nq x.ark:12[0:9]\n", "segments": segments, "1.wav": clip(1)})
    found = read(tmp_path)
    assert kinds(found) == ["BadLine", None, None, "BadLine"]
    assert [each.channel for each in found] == [None, 1, None, None]
    (tmp_path / "segments").unlink()
    assert kinds(read(tmp_path)) == [None, "Unsupported"]


@pytest.mark.parametrize(
    ("asked", "there", "heard"),
    [
        (1, [0, 1], 1),
        (1, [1], 0),
        ([1], [0, 1], 1),
        ([0, 1], [0, 1], None),
        ([1, 0], [0, 1], None),
        ([0, 1], [0, 1, 2], "Unsupported"),
        ([0, 1], [], "Unsupported"),
        (None, [0, 1], None),
        ([], [0, 1], None),
    ],
)
def test_a_cut_is_of_one_channel_or_of_all(
    asked: object, there: list[int], heard: int | str | None, tmp_path: Path
) -> None:
    recording = {"sources": [{"type": "file", "source": "1.wav", "channels": there}]}
    cut = {"id": "a", "start": 0, "duration": 1, "channel": asked, "recording": recording}
    (found,) = read(written(tmp_path, {"cuts.jsonl": jsonl([cut]), "1.wav": clip(1)}))
    assert heard == (found.failure.kind if found.failure else found.channel)
