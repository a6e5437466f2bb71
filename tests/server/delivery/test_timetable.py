"""When the retry timer runs."""

from datetime import UTC, datetime, timedelta

import pytest

from server.delivery.timetable import parse_timetable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "next_run"),
    [
        ("900", NOON + timedelta(minutes=15)),
        ("0.5", NOON + timedelta(seconds=0.5)),
        ("*/15 * * * *", NOON + timedelta(minutes=15)),
        ("5 * * * *", NOON + timedelta(minutes=5)),
        ("0 3 * * *", NOON + timedelta(hours=15)),
    ],
)
def test_a_timetable_is_seconds_or_a_cron_expression(text: str, next_run: datetime) -> None:
    assert parse_timetable(text).after(NOON) == next_run


def test_a_cron_expression_is_read_in_utc() -> None:
    next_run = parse_timetable("0 3 * * *").after(NOON)

    assert next_run is not None
    assert next_run.utcoffset() == timedelta(0)


def test_a_timer_that_is_off_never_runs_by_itself() -> None:
    assert parse_timetable("off").after(NOON) is None


@pytest.mark.parametrize("text", ["", "0", "-5", "Off", "nan", "inf", "1e9", "soon", "61 * * * *"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"cron expression|more than 0 seconds"):
        parse_timetable(text)
