"""Notice that the engine has gone, and say so: its client library ends this process soon after, with 1 and no word.

The part of the engine that a driver talks to listens on a socket of this machine for as long as it lives, and hangs up
on whoever is connected when it dies.
"""

import select
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import RayError

from pipeline.unfinished import UnfinishedError

SOCKETS = Path("/proc/net/unix")
"""What listens on this machine."""
EVERY = 0.5
"""Seconds between two looks, unless it hangs up."""
SOON = 0.01
"""The same when it has hung up."""
STARTS, LATE = 3, "timed out during startup"
"""How often an engine that is late is started, and what it says then."""
WAKE = signal.SIGUSR2
"""Not Ctrl-C's signal: a shell lets its background jobs ignore that one."""


class EngineLostError(UnfinishedError):
    """The engine cannot go on."""


Leave = Callable[[EngineLostError], None]
_leave: list[Leave] = []


@contextmanager
def leaving(leave: Leave) -> Iterator[None]:
    """While the block runs, this is done at once when the engine dies, beside what waits for it.

    The library ends this process when it next touches the engine's memory, which may be at any moment.
    """
    _leave.append(leave)
    try:
        yield
    finally:
        _leave.remove(leave)


@contextmanager
def vigil() -> Iterator[None]:
    """While the block runs, an engine that dies interrupts it, and one that gives up is told in words."""
    over, gone = threading.Event(), threading.Event()
    before = None
    if threading.current_thread() is threading.main_thread():
        before = signal.signal(WAKE, signal.default_int_handler)
        threading.Thread(target=_watch, args=(_socket(), over, gone), name="vigil", daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        if gone.is_set():
            raise EngineLostError(DIED) from None
        raise
    except ExecutionTimeoutError as error:  # half an hour, as the engine counts
        raise EngineLostError(_lost("nothing has moved in the cluster for a long time")) from error
    except RayError as error:
        raise EngineLostError(_lost(f"the engine gave up ({str(error).strip().splitlines()[-1]})")) from error
    finally:
        over.set()
        if before is not None:
            signal.signal(WAKE, before)


def begin(start: Callable[[], None], times: int = STARTS) -> None:
    """Start the engine; one that does not come up is told in words: what it raises is a bare `Exception`.

    Its patience with a machine that is busy with other things ends after 30 seconds: then it is asked again.
    """
    try:
        with _same_end():
            start()
    except Exception as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        if times > 1 and LATE in said[-1]:
            return begin(start, times - 1)
        raise EngineLostError(_lost(f"the engine could not be started ({said[-1]})")) from error


@contextmanager
def _same_end() -> Iterator[None]:
    """Who handles a polite end goes on to do so, although the engine takes it for itself, twice.

    Its Python would exit at once, and its library would abort three seconds after the signal, whatever is done then.
    """
    before, take = signal.getsignal(signal.SIGTERM), ray._private.utils.set_sigterm_handler
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    ray._private.utils.set_sigterm_handler = lambda _: None
    try:
        yield
    except BaseException:
        signal.alarm(0)  # that the library may have set already
        raise
    finally:
        ray._private.utils.set_sigterm_handler = take
        signal.signal(signal.SIGTERM, before)


def _lost(what: str) -> str:
    return f"{what}. What is committed stands; the same command goes on from there, on a cluster that is whole."


DIED = _lost("the cluster's process on this machine has died")


def _socket() -> str:
    node = ray._private.worker.global_worker.node
    return "" if node is None else str(node.raylet_socket_name)


def _watch(name: str, over: threading.Event, gone: threading.Event) -> None:
    """Look whether the socket is there, for as long as it was there at first."""
    if not _listens(name):
        return
    with socket.socket(socket.AF_UNIX) as line:
        lines, every = [line] if line.connect_ex(name) == 0 else [], EVERY
        while not over.is_set():
            hung_up, _, _ = select.select(lines, [], [], every)
            if not _listens(name) and not over.is_set():
                gone.set()
                for leave in _leave:
                    leave(EngineLostError(DIED))
                signal.pthread_kill(threading.main_thread().ident or 0, WAKE)
                return
            lines, every = ([], SOON) if hung_up else (lines, every)


def _listens(name: str) -> bool:
    return bool(name) and SOCKETS.exists() and name in SOCKETS.read_text().split()  # of several nodes, this one
