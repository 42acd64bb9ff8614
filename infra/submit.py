"""`python -m infra.submit rayjob.yaml`: what the CronJob's pod does: it makes the day's RayJob and follows it.

The job is named by the date and by all that it is made of. A pod that is started again on that day takes up what is
there instead of doing it twice; after a failure or a stop it makes the next try, and after a correction another job. It
ends with the exit code of the run. The pod speaks with its own account's rights: make RayJobs, look at them.
"""

import argparse
import hashlib
import json
import os
import re
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SERVER = "https://kubernetes.default.svc"
COMPLETE, FAILED, INVALID = "Complete", "Failed", "ValidationFailed"
"""Where KubeRay leaves a job. The last is for what it never starts."""
STOPPED = "STOPPED"
"""Ray's own word for a run that somebody has stopped: KubeRay calls it complete."""
FINE, UNUSABLE, INTERRUPTED = 0, 2, 130
"""As `jobs.exits` has them, which this small pod does not load."""
CODE = re.compile(r"failed with exit code (-?\d+)")
"""How Ray tells what its job's command ended with: less than 0 is the signal that ended it."""
KILLED = 128
"""What a shell adds to the number of a signal."""
UNTOLD = 1
"""The exit code for a job that failed without one: its cluster did not come, or its time was over."""
TODAY = re.compile(r"(--date[ =])today\b")
TRIES = 9
"""Jobs of one date and configuration: a night that fails as often needs somebody."""
JOB_NAME, JOB_UID = "JOB_NAME", "JOB_UID"
"""Variables with the pod's Job, which Kubernetes names by the minute that it was due."""
EXISTS, SECONDS = 409, 10.0
PATIENCE = 60
"""Questions in a row that may stay without an answer."""
MINUTES = 8
"""Digits of the minutes since 1970, until the year 2160."""
Job = dict[str, object]


class ClusterError(Exception):
    """Kubernetes refuses, cannot be reached, or does not answer to the end."""


@dataclass(frozen=True)
class Cluster:
    """Kubernetes' interface, as this pod sees it."""

    server: str = SERVER
    account: Path = ACCOUNT
    """Where the pod's token and the server's certificate lie."""

    def ask(self, method: str, path: str, body: dict[str, object] | None = None) -> dict[str, object]:
        """One request; the answer."""
        payload = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {(self.account / 'token').read_text().strip()}"}
        headers |= {"Content-Type": "application/json", "Accept": "application/json"}
        request = urllib.request.Request(self.server + path, payload, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._trust()) as answer:  # noqa: S310
                return _object(answer.read())
        except urllib.error.HTTPError as error:
            if error.code == EXISTS:
                raise
            raise ClusterError(f"{method} {path}: {error.code} {_reason(error)}") from None
        except (OSError, HTTPException, ValueError) as error:
            raise ClusterError(f"{method} {path}: {error}") from None

    def _trust(self) -> ssl.SSLContext | None:
        authority = self.account / "ca.crt"
        return ssl.create_default_context(cafile=str(authority)) if self.server.startswith("https:") else None


@dataclass(frozen=True)
class Standing:
    """Where a job stands."""

    deployment: str
    """In KubeRay's words; empty where it has not looked at the job yet."""
    run: str
    """In Ray's, once there is a run."""
    message: str
    """What either says of it."""

    @property
    def code(self) -> int | None:
        """What the pod ends with; None where the job has not ended."""
        if self.deployment == INVALID:
            return UNUSABLE
        if self.deployment == COMPLETE:
            return INTERRUPTED if self.run == STOPPED else FINE
        if self.deployment != FAILED:
            return None
        told = CODE.search(self.message)
        code = int(told[1]) if told else UNTOLD
        return code if code > 0 else KILLED - code


def dated(job: dict[str, object], date: str, options: str = "", owner: dict[str, str] | None = None) -> Job:
    """The RayJob of a date: `today` in its command is that date. With its owner, the pod's Job, it is cleaned away."""
    metadata, spec = _part(job, "metadata"), _part(job, "spec")
    spec = {**spec, "entrypoint": TODAY.sub(rf"\g<1>{date}", str(spec.get("entrypoint", "")))}
    made = hashlib.sha256(json.dumps([spec, options], sort_keys=True).encode()).hexdigest()[:6]
    named = {**metadata, "name": f"{metadata['name']}-{date}-{made}"}
    return {**job, "metadata": {**named, "ownerReferences": [owner]} if owner else named, "spec": spec}


def ending(job: Job, begun: float) -> Job:
    """The job, ended with the pod's Job, which has as many seconds from its beginning, however late a try is made."""
    spec = _part(job, "spec")
    seconds = int(str(spec["activeDeadlineSeconds"]))
    return {**job, "spec": {**spec, "activeDeadlineSeconds": max(1, seconds - round(time.time() - begun))}}


def submit(cluster: Cluster, job: Job) -> tuple[Job, bool]:
    """Make the job, or the next try where those before have failed or were stopped; the job, and whether it is new."""
    for number in range(1, TRIES + 1):
        tried = job if number == 1 else _named(job, f"{_name(job)}-{number}")
        try:
            cluster.ask("POST", _path(tried), tried)
        except urllib.error.HTTPError:
            if _standing(cluster, tried).code in (None, FINE):
                return tried, False
        else:
            return tried, True
    raise ClusterError(f"{_name(job)} has failed {TRIES} times: what its runs have said is in their records")


def follow(cluster: Cluster, job: Job, seconds: float = SECONDS, patience: int = PATIENCE) -> int:
    """Wait for its end; its command's exit code. Kubernetes may be away for a while: the job goes on without it."""
    said, away = None, 0
    while True:
        standing = None
        try:
            standing, away = _standing(cluster, job), 0
            told = standing.deployment or "made"
        except ClusterError as error:
            away += 1
            if away > patience:
                raise
            told = f"cannot be asked ({error})"
        if told != said:
            print(f"{_name(job)}: {told}", flush=True)
            said = told
        if standing and standing.code is not None:
            if standing.code:
                print(standing.message, file=sys.stderr)
            return standing.code
        time.sleep(seconds)


def _standing(cluster: Cluster, job: Job) -> Standing:
    """Ask for it."""
    told = cluster.ask("GET", f"{_path(job)}/{_name(job)}").get("status")
    status = told if isinstance(told, dict) else {}
    return Standing(*(str(status.get(name) or "") for name in ("jobDeploymentStatus", "jobStatus", "message")))


def _object(text: bytes) -> dict[str, object]:
    """What Kubernetes answers with; `ValueError` where it is anything else."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("the answer is no object")
    return found


def _reason(error: urllib.error.HTTPError) -> str:
    """What a refusal says, as far as it came."""
    try:
        return error.read().decode(errors="replace")[:500]
    except (OSError, HTTPException):
        return error.reason


def _path(job: Job) -> str:
    return f"/apis/ray.io/v1/namespaces/{_part(job, 'metadata')['namespace']}/rayjobs"


def _name(job: Job) -> str:
    return str(_part(job, "metadata")["name"])


def _named(job: Job, name: str) -> Job:
    return {**job, "metadata": {**_part(job, "metadata"), "name": name}}


def _part(job: Job, name: str) -> dict[str, object]:
    part = job[name]
    assert isinstance(part, dict)
    return part


def due(environment: Mapping[str, str]) -> float:
    """When the pod's Job was due, in seconds since 1970: a later try does not change it. Of one made by hand, now."""
    minute = environment.get(JOB_NAME, "").rpartition("-")[2]
    return 60.0 * int(minute) if minute.isdigit() and len(minute) == MINUTES else time.time()


def day(seconds: float, zone: str) -> str:
    """The date of a moment in the zone of its schedule: two nights of one may fall on one day of another's."""
    return f"{datetime.fromtimestamp(seconds, ZoneInfo(zone)):%Y-%m-%d}"


def owner(environment: Mapping[str, str]) -> dict[str, str] | None:
    """The pod's Job: what it owns goes with it."""
    if not environment.get(JOB_UID):
        return None
    return {"apiVersion": "batch/v1", "kind": "Job", "name": environment[JOB_NAME], "uid": environment[JOB_UID]}


def main() -> int:
    """Submit and follow."""
    begun = due(os.environ)
    parser = argparse.ArgumentParser(prog="python -m infra.submit", description="Make the day's RayJob and follow it.")
    parser.add_argument("job", type=Path, help="the RayJob, whose name and command get the date")
    parser.add_argument("--options", type=Path, help="what its command reads: the job is named by it, too")
    parser.add_argument("--date", help="the logical date (the day on which the pod's Job was due)")
    parser.add_argument("--zone", default="UTC", help="whose days they are")
    asked = parser.parse_args()
    date = asked.date or day(begun, asked.zone)
    options = asked.options.read_text() if asked.options else ""
    job = ending(dated(yaml.safe_load(asked.job.read_text()), date, options, owner(os.environ)), begun)
    try:
        cluster = Cluster()
        job, new = submit(cluster, job)
        print(f"{_name(job)}: {'submitted' if new else 'is there already: following it'}", flush=True)
        return follow(cluster, job)
    except ClusterError as error:
        print(f"submit: {error}", file=sys.stderr)
        return UNTOLD


if __name__ == "__main__":
    sys.exit(main())
