"""What the CronJob's pod does, against a server that answers as Kubernetes does; and the notice of the spot market."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra import spot
from infra.submit import TRIES, Cluster, ClusterError, dated, due, follow, owner, submit

COMMAND = "steno incremental --config /etc/steno/job.yaml --date {} --failed-ok"
JOB = {
    "apiVersion": "ray.io/v1",
    "kind": "RayJob",
    "metadata": {"name": "steno", "namespace": "night"},
    "spec": {"entrypoint": COMMAND.format("today")},
}
FAILURE = "Job entrypoint command failed with exit code {}, last available logs (truncated to 20,000 chars):"
PLACE = "/apis/ray.io/v1/namespaces/night/rayjobs"


class Answers(BaseHTTPRequestHandler):
    """Kubernetes for one kind of object, and the machine's metadata, as far as they are asked here."""

    jobs: dict[str, list[str]]
    course: list[str]
    """The states that a new job will go through."""
    asked: list[str]
    notice: bool
    message: str

    def do_POST(self) -> None:
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._denied():
            return
        name = f"{self.path}/{job['metadata']['name']}"
        if name in self.jobs:
            self._answer(409, {"reason": "AlreadyExists"})
        else:
            self.jobs[name] = list(self.course)
            self._answer(201, job)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path.endswith("instance-action"):
            self._answer(200 if self.notice and self.headers["X-aws-ec2-metadata-token"] == "ticket" else 404, {})
        elif not self._denied():
            states = self.jobs[self.path]
            state = states.pop(0) if len(states) > 1 else states[0]
            status = {"jobDeploymentStatus": state, "message": self.message}
            self._answer(503 if state == "away" else 200, {"status": status})

    def do_PUT(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ticket")

    def _denied(self) -> bool:
        if self.headers["Authorization"] == "Bearer of-the-pod":
            return False
        self._answer(401, {"reason": "Unauthorized"})
        return True

    def _answer(self, code: int, body: object) -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def answers() -> Iterator[tuple[type[Answers], str]]:
    class Fresh(Answers):
        jobs: dict[str, list[str]] = {}  # noqa: RUF012
        course = ["", "Initializing", "Running", "Complete"]  # noqa: RUF012
        asked: list[str] = []  # noqa: RUF012
        notice = False
        message = ""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Fresh)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Fresh, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def cluster(answers: tuple[type[Answers], str], tmp_path: Path) -> Cluster:
    (tmp_path / "token").write_text("of-the-pod\n")
    return Cluster(answers[1], tmp_path)


def test_a_night_is_submitted_once_and_followed_to_its_end(
    cluster: Cluster, answers: tuple[type[Answers], str], capsys: pytest.CaptureFixture[str]
) -> None:
    job = dated(JOB, "2026-11-21")
    assert submit(cluster, job) == (job, True)
    assert submit(cluster, job) == (job, False), "a pod that is started again takes up the job that is there"
    (name,) = answers[0].jobs
    assert name.startswith(f"{PLACE}/steno-2026-11-21-")
    assert job["spec"] == {"entrypoint": COMMAND.format("2026-11-21")}
    assert follow(cluster, job, seconds=0.01) == 0
    assert [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()] == [
        *("Initializing", "Running", "Complete"),
    ]
    assert submit(cluster, dated(JOB, "2026-11-22"))[1], "another night is another job"
    assert submit(cluster, dated(JOB, "2026-11-21", "beam: 4"))[1], "so is the same night, put right"


def test_a_night_that_failed_is_tried_again_and_one_that_ended_is_not(
    cluster: Cluster, answers: tuple[type[Answers], str]
) -> None:
    job = dated(JOB, "2026-11-21")
    answers[0].course = ["Failed"]
    submit(cluster, job)
    answers[0].course = ["Complete"]
    again, new = submit(cluster, job)
    assert new and again["metadata"] == {**job["metadata"], "name": f"{job['metadata']['name']}-2"}
    assert submit(cluster, job) == (again, False)
    assert follow(cluster, again, seconds=0.01) == 0


def test_a_night_that_always_fails_is_given_up(cluster: Cluster, answers: tuple[type[Answers], str]) -> None:
    answers[0].course = ["Failed"]
    for _ in range(TRIES):
        assert submit(cluster, JOB)[1]
    with pytest.raises(ClusterError, match="failed 9 times"):
        submit(cluster, JOB)


@pytest.mark.parametrize(
    ("message", "code"), [(FAILURE.format(2), 2), (FAILURE.format(3), 3), (FAILURE.format(130), 130), ("evicted", 1)]
)
def test_a_pod_ends_as_its_run_has_ended(
    message: str, code: int, cluster: Cluster, answers: tuple[type[Answers], str]
) -> None:
    answers[0].course, answers[0].message = ["Running", "Failed"], message
    submit(cluster, JOB)
    assert follow(cluster, JOB, seconds=0.01) == code


def test_a_pod_of_a_later_try_takes_the_date_that_the_night_was_due() -> None:
    minute = int(datetime(2026, 11, 20, 23, 55, tzinfo=UTC).timestamp()) // 60
    assert due({"JOB_NAME": f"steno-nightly-{minute}"}) == "2026-11-20"
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert due({"JOB_NAME": "steno-nightly-again"}) == due({}) == today


def test_a_job_goes_with_the_job_of_its_pod() -> None:
    mine = owner({"JOB_NAME": "steno-nightly-29396535", "JOB_UID": "8f0c"})
    metadata = dated(JOB, "2026-11-21", owner=mine)["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["ownerReferences"] == [
        {"apiVersion": "batch/v1", "kind": "Job", "name": "steno-nightly-29396535", "uid": "8f0c"}
    ]
    assert "ownerReferences" not in str(dated(JOB, "2026-11-21", owner=owner({})))


def test_a_server_that_is_away_for_a_while_is_waited_for(cluster: Cluster, answers: tuple[type[Answers], str]) -> None:
    answers[0].course = ["Running", "away", "away", "Complete"]
    submit(cluster, JOB)
    assert follow(cluster, JOB, seconds=0.01) == 0


def test_a_server_that_stays_away_is_given_up(cluster: Cluster, answers: tuple[type[Answers], str]) -> None:
    answers[0].course = ["away"]
    submit(cluster, JOB)
    with pytest.raises(ClusterError, match="503"):
        follow(cluster, JOB, seconds=0.01, patience=3)
    assert len(answers[0].asked) == 4


def test_a_pod_without_rights_says_so(answers: tuple[type[Answers], str], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("of-somebody-else")
    with pytest.raises(ClusterError, match="401"):
        submit(Cluster(answers[1], tmp_path), JOB)


def test_the_markets_notice_is_seen_and_its_absence_too(answers: tuple[type[Answers], str]) -> None:
    assert not spot.noticed(answers[1])
    answers[0].notice = True
    assert spot.noticed(answers[1])
    assert not spot.noticed("http://127.0.0.1:9"), "a machine without a market has no notice"


def test_a_notice_drains_the_node(tmp_path: Path) -> None:
    ray = tmp_path / "ray"
    ray.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/said\n')
    ray.chmod(0o755)
    assert spot.drain("head:6379", str(ray)) == 0
    said = (tmp_path / "said").read_text()
    assert said.startswith("drain-node --address head:6379 --reason DRAIN_NODE_REASON_PREEMPTION")
    assert said.strip().endswith("--deadline-remaining-seconds 100")
