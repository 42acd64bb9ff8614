"""What the CronJob's pod does, against a server that answers as Kubernetes does."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from infra import submit as pod
from infra.submit import TRIES, Cluster, ClusterError, dated, day, due, ending, follow, owner, submit
from jobs.exits import FINE, HELD, INTERRUPTED, UNFINISHED, UNUSABLE
from tests.infra.answering import TROUBLES, Answers

COMMAND = "steno incremental --config /etc/steno/job.yaml --date {} --failed-ok"
JOB = {
    "apiVersion": "ray.io/v1",
    "kind": "RayJob",
    "metadata": {"name": "steno", "namespace": "night"},
    "spec": {"entrypoint": COMMAND.format("today")},
}
FAILURE = "Job entrypoint command failed with exit code {}, last available logs (truncated to 20,000 chars):"
PLACE = "/apis/ray.io/v1/namespaces/night/rayjobs"


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
    ("message", "code"),
    [
        *((FAILURE.format(code), code) for code in (UNUSABLE, HELD, UNFINISHED, INTERRUPTED)),
        (f"{FAILURE.format(-9)}\nan earlier night failed with exit code 2", 137),
        ("evicted", 1),
    ],
)
def test_a_pod_ends_as_its_run_has_ended(
    message: str, code: int, cluster: Cluster, answers: tuple[type[Answers], str]
) -> None:
    answers[0].course, answers[0].message = ["Running", "Failed"], message
    submit(cluster, JOB)
    assert follow(cluster, JOB, seconds=0.01) == code


@pytest.mark.parametrize(
    ("state", "message", "code"),
    [
        ("Complete, STOPPED", "Job was intentionally stopped.", INTERRUPTED),
        ("ValidationFailed", "the RayJob spec is invalid: a feature gate must be enabled", UNUSABLE),
    ],
)
def test_a_night_that_was_stopped_or_never_started_is_no_success_and_is_tried_again(
    state: str,
    message: str,
    code: int,
    cluster: Cluster,
    answers: tuple[type[Answers], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    answers[0].course, answers[0].message = ["", state], message
    submit(cluster, JOB)
    assert follow(cluster, JOB, seconds=0.01) == code
    assert message in capsys.readouterr().err
    answers[0].course = ["Complete, SUCCEEDED"]
    again, new = submit(cluster, JOB)
    assert new, "it was followed, and has ended"
    assert follow(cluster, again, seconds=0.01) == FINE
    assert submit(cluster, JOB) == (again, False)


def test_a_pod_knows_the_exit_codes_of_its_run() -> None:
    assert (pod.FINE, pod.UNUSABLE, pod.INTERRUPTED) == (FINE, UNUSABLE, INTERRUPTED)


def test_a_pod_of_a_later_try_takes_the_date_that_the_night_was_due() -> None:
    assert day(due({"JOB_NAME": named(datetime(2026, 11, 20, 23, 55, tzinfo=UTC))}), "UTC") == "2026-11-20"
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert day(due({"JOB_NAME": "steno-nightly-again"}), "UTC") == day(due({}), "UTC") == today


def named(moment: datetime) -> str:
    """What Kubernetes calls the Job of a minute."""
    return f"steno-nightly-{int(moment.timestamp()) // 60}"


def test_no_two_nights_of_a_schedule_have_one_date_when_its_clocks_change() -> None:
    zone = ZoneInfo("Europe/London")
    nights = [datetime(2027, 3, 26, 0, 30, tzinfo=zone) + timedelta(days=number) for number in range(5)]
    dates = [day(due({"JOB_NAME": named(night)}), zone.key) for night in nights]
    assert dates == [f"2027-03-{number}" for number in range(26, 31)]
    assert len({day(night.timestamp(), "UTC") for night in nights}) == 4, "two of these begin on one day of UTC"


@pytest.mark.parametrize(("late", "left"), [(0, 7200), (5400, 1800), (9000, 1)])
def test_a_later_try_ends_with_its_night(late: int, left: int) -> None:
    job = {**JOB, "spec": {**JOB["spec"], "activeDeadlineSeconds": 7200}}
    first = dated(job, "2026-11-21")
    ended = ending(first, due({"JOB_NAME": named(datetime.fromtimestamp(time.time() - late, UTC))}))
    assert ended["metadata"] == first["metadata"], "every try of a night is known by one name"
    assert left - 62 <= ended["spec"]["activeDeadlineSeconds"] <= left


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


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_server_that_does_not_answer_to_the_end_is_asked_again(
    trouble: str, cluster: Cluster, answers: tuple[type[Answers], str]
) -> None:
    answers[0].course = ["Running", trouble, trouble, "Complete"]
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
