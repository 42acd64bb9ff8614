"""The storage layer on a bad connection, on a full disk, and killed in the middle."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.commit import AlreadyThere, Committed, commit, read_footer
from pipeline.output import done, transcript_name
from pipeline.storage import Store, StoreError, list_entries, open_input, read_bytes
from pipeline.stores import s3
from pipeline.stores.retry import Patience
from tests.faults.proxy import Faults, proxy
from tests.pipeline.rows import STAMP, census, rows

QUICK = Patience(attempts=4, first=0.05, most=0.1)


@pytest.fixture(params=["moto", pytest.param("rgw", marks=pytest.mark.s3)])
def bad(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Store, Faults]]:
    """A store behind a proxy, and the faults to plan."""
    bucket = request.getfixturevalue("moto_s3" if request.param == "moto" else "rgw")
    with proxy(os.environ["AWS_ENDPOINT_URL"]) as (address, faults):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        monkeypatch.setattr("pipeline.storage.Bucket", lambda: s3.Bucket(QUICK))
        forget_clients()
        yield Store(f"{bucket}/out"), faults
    forget_clients()


def forget_clients() -> None:
    from pipeline import storage

    s3.made.cache_clear()
    storage.open_place.cache_clear()


@pytest.mark.parametrize("fault", ["503", "reset", "dropped", "truncated", "delayed"])
def test_a_create_that_meets_a_fault_is_ours_once(bad: tuple[Store, Faults], fault: str) -> None:
    store, faults = bad
    faults.planned.append(("PUT", fault))
    assert store.create("shard", b"whole")
    assert faults.used == [fault] and store.read("shard") == b"whole"
    assert not store.create("shard", b"late")


def test_a_create_whose_answer_is_lost_is_not_ours_where_another_was_first(bad: tuple[Store, Faults]) -> None:
    store, faults = bad
    store.create("shard", b"first")
    faults.planned.append(("PUT", "dropped"))
    assert not store.create("shard", b"other")
    assert faults.used == ["dropped"] and store.read("shard") == b"first"


@pytest.mark.parametrize("fault", ["503", "reset", "dropped"])
def test_a_replacement_that_meets_a_fault_is_made_once(bad: tuple[Store, Faults], fault: str) -> None:
    store, faults = bad
    store.create("lease", b"one")
    seen = store.look("lease").version
    faults.planned.append(("PUT", fault))
    assert store.replace("lease", b"two", seen) == store.look("lease").version
    assert store.read("lease") == b"two" and store.replace("lease", b"three", seen) is None


@pytest.mark.parametrize("fault", ["503", "reset", "dropped", "truncated", "delayed"])
def test_a_read_and_a_listing_that_meet_a_fault_are_whole(bad: tuple[Store, Faults], fault: str) -> None:
    store, faults = bad
    payload = os.urandom(700_000)
    store.create("clip", payload)
    faults.planned.extend([("GET", fault)] * 2)
    assert read_bytes(f"{store.url}/clip") == payload
    faults.planned.extend([("GET", fault)] * 2)
    assert open_input(f"{store.url}/clip").read() == payload
    faults.planned.extend([("GET", fault)])
    assert [entry.size for entry in list_entries(store.url)] == [700_000]
    assert set(faults.used) == {fault} and len(faults.used) >= 3


@pytest.mark.parametrize("fault", ["503", "reset", "truncated"])
def test_a_store_that_never_recovers_is_an_error_in_words(bad: tuple[Store, Faults], fault: str) -> None:
    store, faults = bad
    store.create("clip", b"0123456789")
    faults.forever = fault
    with pytest.raises(StoreError, match=r"out/clip.*\(tried 4 times\)"):
        store.read("clip")
    assert 4 <= len(faults.used) <= 20, "the client below resends on each broken connection that it had kept"


def test_a_shard_committed_over_a_bad_connection_is_the_shard(bad: tuple[Store, Faults]) -> None:
    store, faults = bad
    faults.planned.extend([("PUT", "503"), ("PUT", "dropped")])
    assert isinstance(commit(store, "1", rows(census(30)), census(30), STAMP), Committed)
    assert faults.used == ["503", "dropped"] and read_footer(store, "1").rows == 30


KILLED = """
import os, signal, sys
from pipeline import commit as committing
from pipeline.commit import commit
from pipeline.storage import Store
from pipeline.stores import disk
from tests.pipeline.rows import STAMP, census, rows

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def half(temporary, payload):
    with open(temporary, "xb") as file:
        file.write(payload[: len(payload) // 2])
        file.flush()
    die()

def kill_at(module, name, after):
    step = getattr(module, name)
    setattr(module, name, lambda *args: die(step(*args)) if after else die())

module = {"disk": disk, "commit": committing}
table = rows(census(30))
for step in sys.argv[2:]:
    child = os.fork()
    if child == 0:
        where, name, when = step.split(".")
        if when == "half":
            disk.write_temporary = half
        else:
            kill_at(module[where], name, when == "after")
        commit(Store(f"{sys.argv[1]}/{step}"), "a/1", table, census(30), STAMP)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, step
"""

BEFORE_IT_EXISTS = [
    "commit.balance.before",
    "commit.serialise.before",
    "commit.serialise.after",
    "disk.make_folder.before",
    "disk.make_folder.after",
    "disk.write_temporary.before",
    "disk.write_temporary.half",
    "disk.write_temporary.after",
    "disk.link.before",
]
AFTER_IT_EXISTS = ["disk.link.after", "disk.forget.before", "disk.forget.after"]


def test_a_commit_that_is_killed_at_any_step_leaves_the_whole_file_or_none(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), *BEFORE_IT_EXISTS, *AFTER_IT_EXISTS]
    subprocess.run(command, check=True, timeout=120)
    for step in BEFORE_IT_EXISTS + AFTER_IT_EXISTS:
        store = Store(str(tmp_path / step))
        shards = list(done(store))
        assert shards == ([] if step in BEFORE_IT_EXISTS else ["a/1"]), step
        assert all(read_footer(store, shard).rows == 30 for shard in shards)
        store.probe()
        again = commit(store, "a/1", rows(census(30)), census(30), STAMP)
        assert isinstance(again, AlreadyThere if shards else Committed)
        files = [path for path in Path(store.url).rglob("*") if path.is_file()]
        assert files == [Path(store.url, transcript_name("a/1"))], step


@contextmanager
def small_disk(folder: Path) -> Iterator[str]:
    """A file system of 128 KiB; without the right to mount one, a limit on the size of a file."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode == 0:
        try:
            yield "the disk is full"
        finally:
            subprocess.run(["umount", str(folder)], check=True)  # noqa: S607
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (128 << 10, hard))
    try:
        yield "larger than a file may be"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_an_error_in_words_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as said:
        store = Store(str(tmp_path / "small" / "out"))
        with pytest.raises(StoreError, match=said) as told:
            store.create("transcripts/1.parquet", os.urandom(256 << 10))
        assert told.value.kind == "Full"
        assert [path for path in Path(store.url).rglob("*") if path.is_file()] == []
        assert store.create("transcripts/2.parquet", b"small")


RACE = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from pipeline.storage import Store
from pipeline.stores import disk, s3
store, me, way = Store(sys.argv[1]), sys.argv[2], sys.argv[3]
if way == "unconditional":
    write = s3.Bucket._write
    s3.Bucket._write = lambda self, path, payload, condition, mark: write(self, path, payload, {}, mark)
    disk.os.path.lexists = lambda path: False
    disk.link = disk.os.replace
store.names()
list(store.names())
print("ready", flush=True)
sys.stdin.readline()
for number in range(6):
    start = threading.Barrier(8)
    def write_one(writer):
        start.wait()
        return store.create(f"shard-{number}", f"{me}-{writer}".encode() * 500)
    with ThreadPoolExecutor(8) as pool:
        for writer, won in enumerate(pool.map(write_one, range(8))):
            if won:
                print(f"shard-{number} {me}-{writer}", flush=True)
"""


def race(url: str, way: str) -> list[tuple[str, str]]:
    """Sixteen writers in two processes create the same six files; who was told to have made which."""
    command = [sys.executable, "-c", RACE, url]
    pipe = subprocess.PIPE
    both = [subprocess.Popen([*command, me, way], stdin=pipe, stdout=pipe, text=True) for me in ("a", "b")]
    for process in both:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    told = []
    for process in both:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        told += [(shard, winner) for shard, _, winner in (line.partition(" ") for line in out.splitlines())]
    return told


def one_winner_each(store: Store, told: list[tuple[str, str]]) -> None:
    """The oracle: one writer was told that it made each file, and the file is that writer's."""
    assert sorted(shard for shard, _ in told) == [f"shard-{number}" for number in range(6)]
    for shard, winner in told:
        assert store.read(shard) == winner.encode() * 500


@pytest.fixture(params=["disk", "moto", pytest.param("rgw", marks=pytest.mark.s3)])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store that processes share."""
    if request.param == "disk":
        return Store(str(tmp_path / "out"))
    return Store(f"{request.getfixturevalue('moto_s3' if request.param == 'moto' else 'rgw')}/out")


def test_of_sixteen_writers_in_two_processes_one_makes_each_file(shared: Store) -> None:
    one_winner_each(shared, race(shared.url, "conditional"))


def test_without_the_condition_the_race_is_lost(shared: Store) -> None:
    told = race(shared.url, "unconditional")
    with pytest.raises(AssertionError):
        one_winner_each(shared, told)


def test_without_the_balance_check_a_lost_row_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.commit.balance", lambda *_: None)
    store = Store(str(tmp_path / "out"))
    commit(store, "1", rows(census(29)), census(30), STAMP)
    with pytest.raises(AssertionError):
        assert read_footer(store, "1").rows == 30


def test_without_the_condition_the_probe_says_that_only_the_lease_protects(
    moto_s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = s3.Bucket._write
    monkeypatch.setattr(s3.Bucket, "_write", lambda self, path, payload, _, mark: write(self, path, payload, {}, mark))
    found = Store(f"{moto_s3}/out").probe()
    assert not found.exclusive and not found.conditional and "only the lease" in found.words
