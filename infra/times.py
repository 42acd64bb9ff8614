"""When a schedule starts something, as Kubernetes understands it."""

import re
from zoneinfo import available_timezones

CRON = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
"""Least and largest of minute, hour, day, month and weekday. Kubernetes knows no weekday 7."""
ZONES = available_timezones() - {"localtime"}
"""Names that say the same on every machine."""
FIELD = re.compile(r"(\*|(\d+)(-(\d+))?)(/(\d+))?")


def is_cron(text: object) -> bool:
    """Whether it is a time: five fields of numbers, ranges, lists and steps."""
    fields = str(text).split()
    return len(fields) == len(CRON) and all(
        all(_within(part, *bounds) for part in field.split(",")) for field, bounds in zip(fields, CRON, strict=True)
    )


def is_once_a_day(text: object) -> bool:
    """Whether it comes once on each of its days: its minute and its hour are numbers."""
    return all(field.isdecimal() for field in str(text).split()[:2])


def is_zone(text: object) -> bool:
    """Whether it is a time zone: the name of one, and neither `Local` nor nothing."""
    return str(text) in ZONES


def _within(part: str, least: int, largest: int) -> bool:
    found = FIELD.fullmatch(part)
    if not found:
        return False
    first, last, step = (int(found[i]) if found[i] else None for i in (2, 4, 6))
    numbers = [number for number in (first, last) if number is not None]
    in_order = first is None or last is None or first <= last
    return in_order and step != 0 and all(least <= number <= largest for number in numbers)
