"""A file that an option names is the same wherever it lies, and a remote one is opened as a local one."""

from pathlib import Path

import pytest

from pipeline.nearby import content_hash, nearby
from pipeline.storage import Store, StoreError


def test_a_file_of_this_machine_is_opened_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "words").write_bytes(b"words")
    assert nearby(str(tmp_path / "words")) == tmp_path / "words"
    assert nearby(f"file://{tmp_path}/words") == tmp_path / "words"


def test_what_is_in_a_file_tells_it_apart_not_its_name(tmp_path: Path) -> None:
    for name, text in {"a": "words", "b": "words", "c": "others"}.items():
        (tmp_path / name).write_text(text)
    first, same, other = (content_hash(str(tmp_path / name)) for name in "abc")
    assert first == same != other
    with pytest.raises(StoreError, match="no such file"):
        content_hash(str(tmp_path / "none"))


def test_a_file_of_a_bucket_is_fetched_once_and_again_when_it_changes(
    moto_s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STENOPOOL_CACHE", str(tmp_path / "cache"))
    store = Store(moto_s3)
    store.put("words", b"one")
    copy = nearby(f"{moto_s3}/words")
    assert copy.read_bytes() == b"one"
    copy.write_bytes(b"not fetched again")
    assert nearby(f"{moto_s3}/words").read_bytes() == b"not fetched again"
    store.put("words", b"another")
    assert nearby(f"{moto_s3}/words").read_bytes() == b"another"
    assert len(list((tmp_path / "cache" / "files").iterdir())) == 2, "nothing half-fetched stays"
    with pytest.raises(StoreError):
        nearby(f"{moto_s3}/none")


def test_a_cache_that_cannot_be_written_says_what_to_do(
    moto_s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("STENOPOOL_CACHE", str(tmp_path / "file"))
    Store(moto_s3).put("words", b"one")
    with pytest.raises(StoreError, match="set STENOPOOL_CACHE"):
        nearby(f"{moto_s3}/words")
