"""`python -m infra.submit rayjob.yaml`: what the CronJob's pod does: it makes the day's RayJob and follows it.

The job is named by the date, so a pod that is started again on that day takes up what is there instead of doing it
twice. The pod speaks with its own account's rights: make RayJobs, look at them.
"""

import argparse
import json
import ssl
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SERVER = "https://kubernetes.default.svc"
ENDED = {"Complete": 0, "Failed": 1}
"""How a RayJob ends, and our exit code for it. Finer codes are in the run's record: Ray passes on no others."""
EXISTS, SECONDS = 409, 10.0
PATIENCE = 60
"""Questions in a row that may stay without an answer."""


class ClusterError(Exception):
    """Kubernetes refuses, or cannot be reached."""


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
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            if error.code == EXISTS:
                raise
            raise ClusterError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')[:500]}") from None
        except (urllib.error.URLError, TimeoutError) as error:
            raise ClusterError(f"{method} {path}: {error}") from None

    def _trust(self) -> ssl.SSLContext | None:
        authority = self.account / "ca.crt"
        return ssl.create_default_context(cafile=str(authority)) if self.server.startswith("https:") else None


def dated(job: dict[str, object], date: str) -> dict[str, object]:
    """The RayJob of a date."""
    metadata = job["metadata"]
    assert isinstance(metadata, dict)
    return {**job, "metadata": {**metadata, "name": f"{metadata['name']}-{date}"}}


def submit(cluster: Cluster, job: dict[str, object]) -> bool:
    """Make the job; False where it is there already."""
    try:
        cluster.ask("POST", _path(job), job)
    except urllib.error.HTTPError:
        return False
    return True


def follow(cluster: Cluster, job: dict[str, object], seconds: float = SECONDS, patience: int = PATIENCE) -> int:
    """Wait for its end; the exit code. Kubernetes may be away for a while: the job goes on without it."""
    said, away = None, 0
    while True:
        try:
            status, away = _status(cluster, job), 0
        except ClusterError as error:
            away += 1
            if away > patience:
                raise
            status = f"cannot be asked ({error})"
        if status != said:
            print(f"{_name(job)}: {status or 'made'}", flush=True)
            said = status
        if status in ENDED:
            return ENDED[status]
        time.sleep(seconds)


def _status(cluster: Cluster, job: dict[str, object]) -> str:
    status = cluster.ask("GET", f"{_path(job)}/{_name(job)}").get("status") or {}
    assert isinstance(status, dict)
    return str(status.get("jobDeploymentStatus", ""))


def _path(job: dict[str, object]) -> str:
    metadata = job["metadata"]
    assert isinstance(metadata, dict)
    return f"/apis/ray.io/v1/namespaces/{metadata['namespace']}/rayjobs"


def _name(job: dict[str, object]) -> str:
    metadata = job["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["name"])


def main() -> int:
    """Submit and follow."""
    parser = argparse.ArgumentParser(prog="python -m infra.submit", description="Make the day's RayJob and follow it.")
    parser.add_argument("job", type=Path, help="the RayJob, whose name gets the date")
    parser.add_argument("--date", default=f"{datetime.now(UTC):%Y-%m-%d}", help="the logical date (today, UTC)")
    asked = parser.parse_args()
    job, cluster = dated(yaml.safe_load(asked.job.read_text()), asked.date), Cluster()
    try:
        print(
            f"{_name(job)}: " + ("submitted" if submit(cluster, job) else "is there already: following it"), flush=True
        )
        return follow(cluster, job)
    except ClusterError as error:
        print(f"submit: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
