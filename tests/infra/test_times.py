"""Times of schedules and their zones, as Kubernetes understands them."""

import pytest

from infra.times import is_cron, is_zone


@pytest.mark.parametrize("text", ["30 2 * * *", "*/15 0-6,22 1,15 * 1-5", "0 0 1 1 0,6", "5/10 * * * *"])
def test_a_time_is_understood(text: str) -> None:
    assert is_cron(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 7",
        "* * * * 0-7",
        "9-3 * * * *",
        "*/0 * * * *",
        "* * *",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    assert not is_cron(text)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        *((name, True) for name in ("Etc/UTC", "UTC", "Etc/GMT-3", "Europe/Berlin", "America/Argentina/Buenos_Aires")),
        *((name, False) for name in ("Mars/Olympus", "Local", "local", "localtime", "europe/berlin", "", 3)),
    ],
)
def test_a_time_zone_is_one_that_kubernetes_knows(text: object, known: bool) -> None:
    assert is_zone(text) == known
