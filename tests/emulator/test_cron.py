"""When a schedule of pg_cron is due."""

from __future__ import annotations

import datetime as dt

import pytest

from emulator import cron


def _minute(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("schedule", "minute"),
    [
        ("* * * * *", "2026-11-21T10:07"),
        ("*/5 * * * *", "2026-11-21T10:05"),
        ("0 10-12/2 * * *", "2026-11-21T12:00"),
        ("0 0 $ * *", "2026-02-28T00:00"),
        ("0 0 $ * *", "2028-02-29T00:00"),
        ("0 0 $ * *", "2026-12-31T00:00"),
        ("0 0 13 * fri", "2026-11-13T00:00"),
        ("0 0 13 * FRI", "2026-11-20T00:00"),
        ("0 0 * nov 7", "2026-11-22T00:00"),
        ("0 0 * * 0", "2026-11-22T00:00"),
        ("@hourly", "2026-11-21T10:00"),
        ("@Yearly", "2027-01-01T00:00"),
        (" 5  4 * * * ", "2026-11-21T04:05"),
    ],
)
def test_due(schedule: str, minute: str) -> None:
    """A schedule is due in each minute that its fields name; day and weekday are alternatives."""
    assert cron.is_due(schedule, _minute(minute))


@pytest.mark.parametrize(
    ("schedule", "minute"),
    [
        ("*/5 * * * *", "2026-11-21T10:06"),
        ("0 0 $ * *", "2026-02-27T00:00"),
        ("0 0 $ * *", "2028-02-28T00:00"),
        ("0 0 30 2 *", "2026-02-28T00:00"),
        ("0 0 * * mon", "2026-11-21T00:00"),
        ("@daily", "2026-11-21T00:01"),
        ("5 seconds", "2026-11-21T00:00"),
        ("nonsense", "2026-11-21T00:00"),
    ],
)
def test_not_due(schedule: str, minute: str) -> None:
    """A schedule is not due in other minutes; one that names no day at all is never due."""
    assert not cron.is_due(schedule, _minute(minute))


@pytest.mark.parametrize(
    ("schedule", "seconds"), [("1 seconds", 1), (" 59  SECOND ", 59), ("* * * * *", None), ("seconds", None)]
)
def test_interval(schedule: str, seconds: int | None) -> None:
    """Only a number of seconds is an interval."""
    assert cron.interval_of(schedule) == seconds
