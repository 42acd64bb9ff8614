"""Samples whose names have dots, and texts as editors save them."""

from pathlib import Path

import pytest

from pipeline.sources import webdataset
from tests.pipeline.corpora import clip, kinds, read, tarred, written


def test_a_text_belongs_to_the_audio_that_it_is_named_after_where_a_sample_has_several(tmp_path: Path) -> None:
    files = [
        ("v1.0.wav", clip(0)),
        ("v1.0.txt", b"0"),
        ("v1.1.wav", clip(1)),
        ("v1.1.txt", b"1"),
        ("v1.2.wav", clip(2)),
        ("a.txt", b"a"),
        ("a.wav", clip(3)),
        ("a.wer.txt", b"0.5"),
        ("b.wav", clip(4)),
        ("b.said.txt", b"b"),
    ]
    found = read(written(tmp_path, {"t.tar": tarred(files)}))
    assert [each.audio for each in found] == [clip(n) for n in range(5)]
    assert [each.reference for each in found] == ["0", "1", None, "a", "b"]


def test_marks_of_byte_order_are_no_part_of_what_was_said(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    texts = [("a.json", mark + b'{"text": "a", "snr": 3}'), ("b.txt", mark + b"b")]
    a, b = read(written(tmp_path, {"t.tar": tarred([("a.wav", clip(1)), texts[0], ("b.wav", clip(2)), texts[1]])}))
    assert (a.reference, a.extra, b.reference) == ("a", '{"snr": 3}', "b")


def test_a_tar_that_is_one_sample_by_its_names_is_not_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webdataset, "LARGE", 4000)
    tar = tarred([(f"2024.05.17-{n}.wav", clip(n)) for n in range(9)])
    taken: list[str] = []
    content = webdataset.content
    monkeypatch.setattr(webdataset, "content", lambda *told: taken.append(told[2].name) or content(*told))
    found = read(written(tmp_path, {"t.tar": tar}))
    assert len(taken) == 2
    assert kinds(found) == [None] * 9
    assert [each.audio for each in found] == [clip(n) for n in range(9)]
