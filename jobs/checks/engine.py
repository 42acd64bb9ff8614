"""Whether Ray starts here, or the cluster at an address can be joined, by trying it.

In a process of its own: a cluster that does not answer is waited for without end, and only a process can be stopped.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jobs.checks.finding import Finding, fine, problem
from jobs.joining import closed_door
from pipeline.stores.errors import scrub

LEASH = """
import os, signal, threading
def fall():
    while os.read(0, 1):  # not by sys.stdin: a thread that holds its lock fells the interpreter at its end
        pass
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=fall, daemon=True).start()
"""
"""Ends a trial when whoever asked has gone, after Ctrl-C, say: the pipe to it breaks."""
TRIAL = """
import json, sys, time
import ray
from pipeline import machines
began = time.monotonic()
with machines.cluster(sys.argv[1] or None, None if sys.argv[1] else 1):
    there = ray.cluster_resources()
    versions = ray.get(ray.remote(num_cpus=1)(lambda: (ray.__version__, sys.version.split()[0])).remote())
print(json.dumps({"there": there, "ray": versions[0], "python": versions[1], "seconds": time.monotonic() - began}))
"""
WORDS = 300
"""Characters of an engine's complaint that are shown: its last line."""


def engine(address: str | None, patience: float) -> Iterator[Finding]:
    """Start, or join, run one task, and leave."""
    about = f"Ray at {scrub(address)}" if address else "Ray on this machine"
    if closed := list(closed_door(address)):
        yield problem(about, closed[0], _remedy(address))
        return
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as complaints:
        trial = subprocess.Popen(  # noqa: S603  # ourselves
            [sys.executable, "-c", LEASH + TRIAL, address or ""],
            stdin=subprocess.PIPE, stdout=out, stderr=complaints, start_new_session=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        try:
            code = trial.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(trial.pid, signal.SIGKILL)
            trial.wait()
            yield problem(about, f"no answer within {patience:.0f} s", _remedy(address))
            return
        out.seek(0)
        complaints.seek(0)
        told, complained = out.read().decode(), complaints.read().decode(errors="replace")
    if code:
        last = (complained.strip().splitlines() or ["it ended without a word"])[-1]
        yield problem(about, scrub(last)[:WORDS], _remedy(address))
        return
    yield _answered(about, json.loads(told.strip().splitlines()[-1]))


def _answered(about: str, told: dict[str, object]) -> Finding:
    there = told["there"]
    assert isinstance(there, dict)
    counts = [(there.get(resource, 0), kind) for resource, kind in (("CPU", "core"), ("GPU", "GPU"))]
    has = ", ".join(f"{count:g} {kind}{'s' * (count != 1)}" for count, kind in counts if count) or "no core"
    seconds = float(str(told["seconds"]))
    return fine(about, f"Ray {told['ray']} on Python {told['python']} ran a task within {seconds:.1f} s; {has} there")


def _remedy(address: str | None) -> str:
    if address:
        return "is it reachable (ray://host:10001), with its token, and of the Ray and Python that are here?"
    return "look into /tmp/ray/session_latest/logs; a small /dev/shm or a name without an address are usual causes"
