"""Who is writing an output now: one run at a time, and a dead one's place is free.

The holder rewrites `lease.json` every few seconds, each time on condition that nobody else has. Others judge it by
whether the file changes while they watch, by their own clock: the times in it are for people. A holder that cannot
renew it in time counts itself out before anyone else may count it out. On a store that does not replace conditionally
this is a best effort: each reads before it writes, and the one who finds the other's mark stops.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from uuid import uuid4

from pipeline.storage import Store, StoreError
from pipeline.stores.errors import UNSUPPORTED

LEASE = "lease.json"
BEAT = 5.0
"""Seconds between two heartbeats."""
EXPIRY = 60.0
"""Seconds without a change after which a lease is free."""
MARGIN = 0.75
"""Of the expiry: when a holder without a heartbeat counts itself out, early enough for clocks of another pace."""
SOON = 0.2
"""Seconds in which changes of what is open are gathered into one heartbeat."""
POLITE = (None, KeyboardInterrupt, SystemExit)
"""How a holder ends of which nothing that it had open is the cause."""
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that also runs while the machine sleeps."""


@dataclass(frozen=True)
class Holder:
    """What `lease.json` says."""

    run_id: str
    host: str
    pid: int
    since: str
    """UTC, for people."""
    token: str
    """Unlike any other holder's."""
    process: str
    """Names this very process, where that can be checked from the same machine."""
    beats: int = 0
    """Counts up, so that every heartbeat changes the file."""
    released: bool = False
    """The holder has gone in order."""
    open: Mapping[str, int] = field(default_factory=dict)
    """What was being worked on, and for the how-manieth time: what to suspect if the holder dies."""


class LeaseHeldError(Exception):
    """Another run is writing here."""


class LeaseLost(Exception):  # noqa: N818
    """The run must stop writing: another has taken its place, or may have."""


class Lease:
    """The right to write an output, held while the `with` block runs.

    `LeaseHeldError` at the start names the run that holds it. Entering may take up to the expiry, when the last holder
    died on another machine.
    """

    def __init__(self, store: Store, run_id: str, *, beat: float = BEAT, expiry: float = EXPIRY) -> None:
        self._store, self._beat, self._expiry = store, beat, expiry
        self.run_id, self._mine = run_id, introduce(run_id)
        self._version = ""
        self._renewed = 0.0
        self._lost: str | None = None
        self._changed, self._stopped = threading.Event(), threading.Event()
        self._open: Mapping[str, int] = {}
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self.inherited: dict[str, int] = {}
        """What the last holder had open when it died, and how often it had been tried."""

    def __enter__(self) -> Self:
        while not self._take():
            pass
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind in POLITE:
            self._open = self.inherited
        self._stopped.set()
        self._changed.set()
        self._thread.join(self._beat)
        if self._lost is None and not self._thread.is_alive():
            self._renew(released=True)

    def check(self) -> None:
        """Raise `LeaseLost` where this run may not write any more. Call it before each commit."""
        silent = now() - self._renewed
        if self._lost is None and silent > MARGIN * self._expiry:
            self._lost = f"no heartbeat has reached {self._store.url} for {silent:.0f} seconds"
        if self._lost is not None:
            raise LeaseLost(f"this run must stop: {self._lost}. What it has committed stands; run it again to go on.")

    def mark(self, opened: Collection[str]) -> None:
        """Say what is being worked on; the heartbeat that writes it down follows at once."""
        now = {**self.inherited, **{name: self.inherited.get(name, 0) + 1 for name in opened}}
        if now != self._open:
            self._open = now
            self._changed.set()

    def acquit(self, name: str) -> None:
        """What is done is not to be suspected."""
        self.inherited.pop(name, None)

    def _take(self) -> bool:
        """Take the lease if it is free; False where someone else was quicker."""
        seen = self._read()
        self._renewed = now()
        if seen is None:
            if not self._store.create(LEASE, written(self._mine)):
                return False
        else:
            holder, version = seen
            if not holder.released and not is_gone(holder):
                self._watch(holder, version)
            self.inherited = dict(holder.open)
            self._open = dict(holder.open)  # dying before the first `mark` must not clear it
            self._mine = replace(self._mine, open=self._open)
            self._renewed = now()
            if self._store.replace(LEASE, written(self._mine), version) is None:
                return False
        return self._is_mine()

    def _watch(self, holder: Holder, version: str) -> None:
        """Return when the lease has not changed for its expiry; `LeaseHeldError` as soon as it does."""
        until = now() + self._expiry
        while now() < until:
            time.sleep(min(self._beat / 2, self._expiry / 10))
            seen = self._read()
            if seen is None or seen[1] != version:
                raise LeaseHeldError(held(self._store, holder if seen is None else seen[0]))

    def _keep(self) -> None:
        """The heartbeat."""
        while not self._stopped.is_set():
            if self._changed.wait(self._beat):
                time.sleep(min(SOON, self._beat / 10))
            self._changed.clear()
            if self._stopped.is_set() or self._lost is not None:
                return
            self._renew(released=False)

    def _renew(self, *, released: bool) -> None:
        """Write the next heartbeat. A store that does not answer is asked again at the next one."""
        asked = now()
        try:
            if not self._is_mine():
                return
            self._mine = replace(self._mine, beats=self._mine.beats + 1, released=released, open=self._open)
            version = self._store.replace(LEASE, written(self._mine), self._version)
            if version is not None:
                self._version, self._renewed = version, asked
        except StoreError:
            return

    def _is_mine(self) -> bool:
        """Whether the file bears this run's token; remembers the version, or who has it instead."""
        seen = self._read()
        if seen is not None and seen[0].token == self._mine.token:
            self._version = seen[1]
            return True
        taken = "its lease was removed" if seen is None else f"its lease was taken by {described(seen[0])}"
        self._lost = None if self._version == "" else taken
        return False

    def _read(self) -> tuple[Holder, str] | None:
        try:
            part = self._store.look(LEASE)
        except StoreError as error:
            if error.kind == "NotFound":
                return None
            raise
        try:
            return Holder(**json.loads(part.payload)), part.version
        except (ValueError, TypeError):
            message = f"{self._store.url}/{LEASE} cannot be read as a lease: if no run is writing here, remove it"
            raise StoreError(UNSUPPORTED, message) from None


def introduce(run_id: str) -> Holder:
    """Ourselves, as others will see us."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return Holder(run_id, socket.gethostname(), os.getpid(), since, uuid4().hex, process_name(os.getpid()))


def written(holder: Holder) -> bytes:
    """The file."""
    return json.dumps({**asdict(holder), "open": dict(holder.open)}, indent=2).encode()


def held(store: Store, holder: Holder) -> str:
    """What a second writer is told."""
    return (
        f"another run is writing {store.url}: {described(holder)}. Wait for it to finish, or stop it; a run that has "
        f"died is noticed by itself"
    )


def described(holder: Holder) -> str:
    """A holder, for people."""
    return f"run {holder.run_id} (process {holder.pid} on {holder.host}, since {holder.since})"


def is_gone(holder: Holder) -> bool:
    """Whether the holder was a process of this machine that is no more; False where that cannot be known."""
    there, here = holder.process, process_name(os.getpid())
    if not there or there.split()[:2] != here.split()[:2]:
        return False
    return process_name(holder.pid) != there


def process_name(pid: int) -> str:
    """The kernel's start, the process namespace and the process's own start: never the same twice. Empty if unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as boot, open(f"/proc/{pid}/stat") as stat:
            started = stat.read().rpartition(")")[2].split()[19]
            return f"{boot.read().strip()} {os.stat('/proc/self/ns/pid').st_ino} {started}"
    except OSError:
        return ""


def now() -> float:
    """Seconds by this machine's own clock."""
    return time.clock_gettime(CLOCK)
