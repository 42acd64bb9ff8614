"""The same promises on every kind of storage."""

import io
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.storage import Store, StoreError, list_entries, open_input, read_bytes, scrub
from pipeline.stores import disk as local_disk
from pipeline.stores import s3, s3_listing


def test_a_file_is_created_once_and_then_stays_as_it_is(store: Store) -> None:
    assert store.create("a/one", b"first")
    assert not store.create("a/one", b"second")
    assert store.read("a/one") == b"first"


def test_a_store_is_listed_in_order_by_its_own_names_without_hidden_files(store: Store) -> None:
    for name in ("b/z", "b/a", "b-", "b/a/deep", "b/.hidden", "c"):
        if name != "b/a" or not store.url.startswith(("/", "memory")):
            store.create(name, b"12")
    names = [entry.uri for entry in store.names("b")]
    assert names == sorted(names) and {"b/z", "b/a/deep"} <= set(names) and "b/.hidden" not in names
    assert [entry.uri for entry in store.names()][-1] == "c"
    assert list(store.names("nothing/here")) == []


def test_only_the_version_that_was_seen_is_replaced(store: Store) -> None:
    store.create("lease", b"one")
    seen = store.look("lease").version
    following = store.replace("lease", b"two", seen)
    assert following == store.look("lease").version
    assert store.replace("lease", b"late", seen) is None
    assert store.replace("missing", b"late", seen) is None
    assert store.read("lease") == b"two"


def test_put_overwrites_and_delete_removes_and_is_content_with_nothing(store: Store) -> None:
    store.put("report", b"one")
    store.put("report", b"two")
    assert store.read("report") == b"two"
    store.delete("report")
    store.delete("report")
    assert list(store.names()) == []


def test_the_probe_leaves_nothing_behind_and_tells_what_the_store_does(store: Store) -> None:
    found = store.probe()
    assert found.exclusive and found.conditional and "no two runs" in found.words
    assert list(list_entries(store.url) if not store.url.startswith(("s3", "memory")) else store.names(".probe")) == []


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b"])
def test_no_name_leaves_the_store(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match="would leave"):
        store.create(name, b"")


def test_a_store_pickles_as_its_address_and_nothing_else(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create("one", b"1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-to-look-for")
    pickled = pickle.dumps(store)
    assert pickle.loads(pickled) == store
    assert set(vars(store)) == {"url"} and b"secret" not in pickled


def test_an_input_is_read_whole_in_ranges_and_by_seeking(store: Store) -> None:
    payload = os.urandom(3_000_000)
    store.create("a/clip.wav", payload)
    url = f"{store.url}/a/clip.wav"
    assert read_bytes(url) == payload
    assert read_bytes(url, 10, 20) == payload[10:20]
    assert read_bytes(url, 2_999_990) == payload[-10:]
    with open_input(url) as whole:
        assert b"".join(iter(lambda: whole.read(100_001), b"")) == payload
        assert whole.seek(-5, os.SEEK_END) == 2_999_995 and whole.read() == payload[-5:]
        assert whole.seek(1_000_000) and whole.read(3) == payload[1_000_000:1_000_003]
    with open_input(url, 100, 1_000_100) as part:
        assert part.read() == payload[100:1_000_100]
        assert part.seek(-1, os.SEEK_END) == 999_999 and part.read(10) == payload[1_000_099:1_000_100]
    with open_input(url, 2_500_000) as rest:
        assert rest.read() == payload[2_500_000:]


def test_an_empty_file_reads_as_nothing(store: Store) -> None:
    store.create("empty", b"")
    url = f"{store.url}/empty"
    assert read_bytes(url) == open_input(url).read() == open_input(url, 0, 0).read() == b""


def test_a_file_that_ends_before_the_promised_byte_is_told_apart(store: Store) -> None:
    store.create("short", b"0123456789")
    with pytest.raises(StoreError, match="ends at byte 10") as told:
        read_bytes(f"{store.url}/short", 5, 15)
    assert told.value.kind == "Truncated"
    with pytest.raises(StoreError, match="ends at byte 10"):
        open_input(f"{store.url}/short", 5, 15).read()


def test_a_missing_input_is_named(store: Store) -> None:
    store.create("here", b"")
    for ask in (read_bytes, lambda url: open_input(url).read(), lambda url: list(list_entries(url))):
        with pytest.raises(StoreError, match="/gone") as told:
            ask(f"{store.url}/gone")
        assert told.value.kind == "NotFound"


def test_patterns_and_literal_names_are_listed(store: Store) -> None:
    for name in ("a/x.wav", "a/y.txt", "a/deep/z.wav", "b/x.wav", "odd/[1].wav", "odd/1.wav"):
        store.create(name, b"1")
    listed = {
        pattern: [entry.uri.removeprefix(f"{store.url}/") for entry in list_entries(f"{store.url}/{pattern}")]
        for pattern in ("a", "*/x.wav", "**/*.wav", "a/?.txt", "odd/[1].wav", "a/x.wav")
    }
    assert listed == {
        "a": ["a/deep/z.wav", "a/x.wav", "a/y.txt"],
        "*/x.wav": ["a/x.wav", "b/x.wav"],
        "**/*.wav": ["a/deep/z.wav", "a/x.wav", "b/x.wav", "odd/1.wav", "odd/[1].wav"],
        "a/?.txt": ["a/y.txt"],
        "odd/[1].wav": ["odd/[1].wav"],
        "a/x.wav": ["a/x.wav"],
    }  # fmt: skip


def test_a_listed_entry_opens_and_its_version_follows_the_content(store: Store) -> None:
    store.put("é ?#%41&+.wav", b"one")
    [before] = list_entries(store.url)
    assert open_input(before.uri).read() == b"one" and before.size == 3
    store.put("é ?#%41&+.wav", b"three")
    [after] = list_entries(store.url)
    assert after.version != before.version and after.uri == before.uri


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.org/a", "http:// is not opened"),
        ("simplecache::s3://bucket/a", "is not opened"),
        ("s3://key:hunter2222@bucket/a", "credentials do not belong"),
        ("s3://", "no bucket"),
        ("gs://bucket/a", r"pip install -e '\.\[gs\]'"),
        ("az://bucket/a", r"pip install -e '\.\[azure\]'"),
    ],
)
def test_an_address_that_is_not_opened_is_refused_in_words(url: str, said: str) -> None:
    with pytest.raises(StoreError, match=said) as told:
        list(list_entries(url))
    assert "hunter" not in str(told.value)


def test_secrets_never_reach_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
    text = (
        "GET https://me:pass-word@host/a?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F1&X-Amz-Signature=abcdef&sig=xyz "
        "with wJalrXUtnFEMI/K7MDENG and ASIAIOSFODNN7EXAMPLE for s3://bucket/Key=plain"
    )
    said = scrub(text)
    for secret in ("pass-word", "me:", "AKIA", "abcdef", "xyz", "wJalr", "ASIA"):
        assert secret not in said
    assert "https://host/a" in said and "s3://bucket/Key=plain" in said
    assert str(StoreError("Denied", text)) == said == str(pickle.loads(pickle.dumps(StoreError("Denied", text))))


def test_a_name_that_is_not_text_is_listed_as_an_address_that_opens(tmp_path: Path) -> None:
    odd = os.path.join(os.fsencode(tmp_path), b"caf\xe9 100%.wav")
    with open(odd, "wb") as file:
        file.write(b"sound")
    [entry] = list_entries(str(tmp_path))
    assert entry.uri.encode() and entry.uri.endswith("/caf%E9%20100%25.wav")
    assert open_input(entry.uri).read() == read_bytes(entry.uri) == b"sound"


def test_links_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.wav").write_bytes(b"1")
    (tmp_path / "a" / "back").symlink_to(tmp_path)
    (tmp_path / "two.wav").symlink_to(tmp_path / "a" / "one.wav")
    listed = [entry.uri.removeprefix(str(tmp_path)) for entry in list_entries(str(tmp_path))]
    assert listed == ["/a/one.wav", "/two.wav"]


def test_a_link_that_leads_nowhere_is_listed_and_cannot_be_read(tmp_path: Path) -> None:
    """As checkouts hold them whose audio was not fetched."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "lost.wav").symlink_to(tmp_path / "gone")
    [entry] = list_entries(str(folder))
    assert entry.uri == str(folder / "lost.wav")
    with pytest.raises(StoreError, match="no such file"):
        open_input(entry.uri)
    before = entry.version
    (tmp_path / "gone").write_bytes(b"sound")
    [entry] = list_entries(str(folder))
    assert (entry.size, entry.version == before) == (5, False), "what comes later is new"


@pytest.mark.parametrize("leads", ["to itself", "through a file", "too far"])
def test_a_link_that_leads_in_a_circle_costs_nobody_else(tmp_path: Path, leads: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.wav", "z.wav"):
        (folder / name).write_bytes(b"sound")
    odd = folder / "odd.wav"
    odd.symlink_to({"to itself": "odd.wav", "through a file": "a.wav/x", "too far": "x" * 300}[leads])
    entries = list(list_entries(str(folder)))
    assert [Path(entry.uri).name for entry in entries] == ["a.wav", "odd.wav", "z.wav"]
    with pytest.raises(StoreError) as told:
        open_input(entries[1].uri)
    assert told.value.lasting, "it is the recording that fails, and not the run"


def test_an_empty_folder_is_an_input_without_recordings(tmp_path: Path) -> None:
    assert list(list_entries(str(tmp_path))) == []


def test_temporary_files_of_dead_writers_are_swept(tmp_path: Path) -> None:
    folder = tmp_path / "transcripts"
    folder.mkdir()
    ours = folder / f".0123456789abcdef@{2**22 - 1}@{local_disk.here()}.tmp"
    living = folder / f".0123456789abcdef@{os.getpid()}@{local_disk.here()}.tmp"
    recent, old = folder / ".0123456789abcdef@1@elsewhere.tmp", folder / ".0123456789abcdee@1@elsewhere.tmp"
    unseen = folder / f".0123456789abcdee@{2**22 - 1}@{os.uname().nodename}-1.tmp"
    for file in (ours, living, recent, old, unseen):
        file.write_bytes(b"half")
    os.utime(old, (0, 0))
    Store(str(tmp_path)).probe()
    assert {file.name for file in folder.iterdir()} == {living.name, recent.name, unseen.name}, (
        "a container of the same name may have numbered its processes by itself"
    )


@pytest.mark.parametrize("layout", ["folders", "flat", "one folder"])
def test_a_long_listing_keeps_its_order_when_pages_are_asked_for_side_by_side(
    moto_s3: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {
        "folders": [f"{folder:02}/{number}" for folder in range(20) for number in range(3)] + ["07", "07/", "zz"],
        "flat": [f"{number:04}" for number in range(50)],
        "one folder": [f"only/{number:04}" for number in range(50)],
    }[layout]
    store = Store(f"{moto_s3}/in")
    for name in names:
        s3.call("put_object", f"{moto_s3.removeprefix('s3://')}/in/{name}", Body=b"1")
    monkeypatch.setattr(s3.Bucket, "_page", small_pages(s3.Bucket._page))
    monkeypatch.setattr(s3_listing, "PIECES", 7)
    expected = sorted(name for name in names if not name.endswith("/"))
    assert [entry.uri for entry in store.names()] == expected


@settings(max_examples=60, deadline=None)
@example({f"b{last}" for last in ("", "a", s3_listing.LAST, f"{s3_listing.LAST}a", f"a{s3_listing.LAST}")}, 2)
@given(st.sets(st.text("a0/\u00e9\U0001f600\uffff\U0010ffff", min_size=1, max_size=6), max_size=40), st.integers(2, 7))
def test_however_keys_begin_a_listing_has_each_once_and_in_order(names: set[str], pieces: int) -> None:
    keys, asked = sorted((f"in/{name}" for name in names), key=str.encode), list[str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3_listing, "PIECES", pieces)
        assert [entry.uri for entry in s3_listing.in_order(listed(keys, asked), "in/")] == keys


def test_a_million_keys_of_one_folder_are_asked_for_side_by_side() -> None:
    keys, asked = [f"in/take-{number:06}.wav" for number in range(20_000)], list[str]()
    assert [entry.uri for entry in s3_listing.in_order(listed(keys, asked, 20), "in/")] == keys
    begun = {after for after in asked if after and not after.endswith((s3_listing.LAST, ".wav"))}
    assert len(begun) >= 40, "pieces that are walked at once"
    assert len(asked) < 1.5 * len(keys) // 20, "finding them costs less than the pages"


def test_a_few_pages_cost_little_more_than_themselves() -> None:
    keys, asked = [f"in/{number:06}" for number in range(100)], list[str]()
    assert [entry.uri for entry in s3_listing.in_order(listed(keys, asked, 20), "in/")] == keys
    assert len(asked) == 5 + 2


def listed(keys: list[str], asked: list[str], most: int = 3) -> s3_listing.Page:
    """A bucket's pages, without a bucket."""

    def page(**options: str | int) -> s3_listing.Reply:
        after, size = str(options.get("ContinuationToken") or options.get("StartAfter", "")), options.get("MaxKeys")
        asked.append(after)
        if "Delimiter" in options:
            return {"CommonPrefixes": []}
        rest, size = [key for key in keys if key.encode() > after.encode()], int(size or most)
        found = [{"Key": key, "Size": 1, "ETag": "x"} for key in rest[:size]]
        more = {"IsTruncated": True, "NextContinuationToken": found[-1]["Key"]} if len(rest) > size else {}
        return {"Contents": found, **more}

    return page


def small_pages(page: "s3.Bucket._page") -> object:
    """Pages of four keys, so that a small bucket has many."""

    def ask(self: s3.Bucket, bucket: str, prefix: str, options: dict[str, object]) -> s3.Reply:
        return page(self, bucket, prefix, {"MaxKeys": 4, **options})

    return ask


def test_a_decoder_finds_a_usual_file(store: Store) -> None:
    store.create("clip", b"0123456789")
    file = open_input(f"{store.url}/clip", 2, 8)
    assert isinstance(file, io.BufferedReader) and file.readable() and file.seekable()
    assert file.peek(2)[:2] == b"23" and file.tell() == 0


def test_a_lock_that_a_stopped_process_holds_is_an_error_in_words_and_no_wait_for_ever(
    disk: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.create("lease", b"1")
    monkeypatch.setattr(local_disk, "LOCKED", 0.1)
    held = local_disk.lock(f"{disk.url}/.lease.lock")
    with pytest.raises(StoreError, match="does not go on"):
        disk.replace("lease", b"2", disk.look("lease").version)
    os.close(held)
    assert disk.replace("lease", b"2", disk.look("lease").version)


def test_a_file_of_this_machine_is_deposited_whole_over_what_stands(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "made"
    for payload in (b"first", b"x" * 3_000_000):
        source.write_bytes(payload)
        store.deposit("far/away.bin", str(source))
        assert store.read("far/away.bin") == payload
    assert [entry.uri for entry in store.names()] == ["far/away.bin"]


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit((tmp_path / "pipe").read_bytes)
        Store(str(tmp_path)).put("pipe", b"a page")
        assert read.result(10) == b"a page"
    assert (tmp_path / "pipe").is_fifo()
