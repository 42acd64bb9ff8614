"""One run writes at a time; a dead one's place is free; a run that lost its place stops."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from pipeline import lease as leasing
from pipeline.lease import LEASE, Lease, LeaseHeldError, LeaseLost
from pipeline.storage import Store, StoreError

BEAT, EXPIRY = 0.1, 1.5

HOLD = """
import sys, time
from pipeline.lease import Lease
from pipeline.storage import Store
with Lease(Store(sys.argv[1]), "run-of-child", beat=0.1, expiry=1.5) as lease:
    lease.mark(["shard-7"])
    print("holding", flush=True)
    time.sleep(60)
"""


def lease(store: Store, run_id: str) -> Lease:
    return Lease(store, run_id, beat=BEAT, expiry=EXPIRY)


def eventually(holds: Callable[[], bool]) -> None:
    """Wait for something that another thread brings about."""
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


def written(store: Store) -> dict[str, object]:
    found: dict[str, object] = json.loads(store.read(LEASE))
    return found


def child(store: Store) -> "subprocess.Popen[str]":
    """Another process that holds the lease and has a shard open."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, store.url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "holding\n"
    eventually(lambda: written(store)["open"] == {"shard-7": 1})
    return process


def test_a_second_writer_is_told_who_writes(store: Store) -> None:
    with lease(store, "run-1"):
        with pytest.raises(LeaseHeldError) as told, lease(store, "run-2"):
            pytest.fail("two runs hold the lease")
        for said in ("run run-1", f"process {os.getpid()}", os.uname().nodename, str(written(store)["since"])):
            assert said in str(told.value)


def test_a_lease_that_was_given_back_is_taken_at_once(store: Store) -> None:
    with lease(store, "run-1"):
        pass
    begun = time.monotonic()
    with lease(store, "run-2") as second:
        assert time.monotonic() - begun < EXPIRY
        second.check()
    assert written(store)["released"] and written(store)["run_id"] == "run-2"


def test_the_heartbeat_keeps_the_lease_for_longer_than_its_expiry(disk: Store) -> None:
    with lease(disk, "run-1") as first:
        before = written(disk)["beats"]
        time.sleep(1.2 * EXPIRY)
        first.check()
        assert int(str(written(disk)["beats"])) >= int(str(before)) + 5


def test_a_killed_run_on_this_machine_is_followed_at_once_and_its_open_shards_are_known(disk: Store) -> None:
    killed = child(disk)
    killed.kill()
    killed.wait()
    begun = time.monotonic()
    with lease(disk, "run-2") as second:
        assert time.monotonic() - begun < EXPIRY / 2
        assert second.inherited == {"shard-7": 1}
        eventually(lambda: written(disk)["run_id"] == "run-2")
        assert written(disk)["open"] == {"shard-7": 1}, "dying before the first mark must not clear the blame"
        second.mark(["shard-7", "shard-8"])
        eventually(lambda: written(disk)["open"] == {"shard-7": 2, "shard-8": 1})
        second.mark(["shard-8"])
        eventually(lambda: written(disk)["open"] == {"shard-7": 1, "shard-8": 1})
        second.acquit("shard-7")
        second.mark([])
        eventually(lambda: written(disk)["open"] == {})


@pytest.mark.parametrize("polite", [True, False])
def test_a_holder_that_is_asked_to_stop_blames_nothing_that_it_had_open(polite: bool, disk: Store) -> None:
    ending = KeyboardInterrupt if polite else RuntimeError
    for times in (1, 2):
        with suppress(ending), lease(disk, f"run-{times}") as first:
            first.mark(["shard-7"])
            raise ending
    with lease(disk, "run-3") as last:
        assert last.inherited == ({} if polite else {"shard-7": 2})


def test_a_run_of_another_machine_is_judged_by_its_silence_not_by_its_clock(
    store: Store,
) -> None:
    dead = replace(leasing.introduce("dead"), process="", since="2099-01-01T00:00:00+00:00", open={"shard-7": 2})
    store.create(LEASE, leasing.written(dead))
    begun = time.monotonic()
    with lease(store, "run-2") as second:
        assert time.monotonic() - begun >= EXPIRY
        assert second.inherited == {"shard-7": 2}


def test_a_run_of_another_machine_that_lives_is_not_followed(disk: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leasing, "is_gone", lambda _: False)
    living = child(disk)
    with pytest.raises(LeaseHeldError, match="run-of-child"), lease(disk, "run-2"):
        pytest.fail("two runs hold the lease")
    living.kill()
    living.wait()


def test_a_run_that_slept_through_its_expiry_stops_when_it_wakes(disk: Store) -> None:
    with suppress(LeaseLost), lease(disk, "run-1") as first:
        first._stopped.set()
        first._changed.set()
        time.sleep(EXPIRY)
        with pytest.raises(LeaseLost, match="no heartbeat has reached"):
            first.check()


def test_a_run_whose_lease_was_taken_stops_and_leaves_the_new_one_alone(store: Store) -> None:
    with lease(store, "run-1") as first:
        usurper = {**written(store), "token": "other", "run_id": "run-2", "host": "elsewhere"}
        store.put(LEASE, json.dumps(usurper).encode())
        eventually(lambda: first._lost is not None)
        with pytest.raises(LeaseLost, match=r"taken by run run-2 .* on elsewhere"):
            first.check()
    assert written(store)["token"] == usurper["token"] and not written(store)["released"]


def test_a_run_whose_lease_was_removed_stops(disk: Store) -> None:
    with lease(disk, "run-1") as first:
        disk.delete(LEASE)
        eventually(lambda: first._lost is not None)
        with pytest.raises(LeaseLost, match="removed"):
            first.check()


def test_a_store_that_does_not_answer_for_a_while_costs_no_lease(disk: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with lease(disk, "run-1") as first:
        with monkeypatch.context() as down:
            down.setattr(Store, "look", unreachable)
            time.sleep(4 * BEAT)
        first.check()
        beats = written(disk)["beats"]
        eventually(lambda: written(disk)["beats"] != beats)
        first.check()


def unreachable(*asked: object) -> None:
    raise StoreError("Unreachable", "nobody answers")


def test_a_stopped_holder_is_followed_and_finds_out(disk: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leasing, "is_gone", lambda _: False)
    stopped = child(disk)
    beats = written(disk)["beats"]
    eventually(lambda: written(disk)["beats"] != beats)
    time.sleep(BEAT / 3)  # between two heartbeats: in the middle of one it would hold the disk's lock
    os.kill(stopped.pid, signal.SIGSTOP)
    with lease(disk, "run-2") as second:
        os.kill(stopped.pid, signal.SIGCONT)
        time.sleep(5 * BEAT)
        second.check()
    stopped.kill()
    stopped.wait()


def test_a_lease_that_cannot_be_read_is_not_overwritten(disk: Store) -> None:
    disk.create(LEASE, b"{}")
    with pytest.raises(StoreError, match="if no run is writing here, remove it"), lease(disk, "run-1"):
        pytest.fail("a lease nobody can read was taken")
