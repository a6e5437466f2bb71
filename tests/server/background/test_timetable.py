"""Times at which the retry timer runs."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.background.timetable import Cron, parse_timetable
from server.settings import SettingsError, read_settings

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


def test_a_cron_expression_uses_utc() -> None:
    next_run = parse_timetable("0 3 * * *").after(NOON)

    assert next_run is not None
    assert next_run.utcoffset() == timedelta(0)


def test_a_timer_that_is_off_has_no_next_run() -> None:
    assert parse_timetable("off").after(NOON) is None


@pytest.mark.parametrize(
    ("alias", "next_run"),
    [
        ("@hourly", NOON + timedelta(hours=1)),
        ("@daily", NOON + timedelta(hours=12)),
        ("@Midnight", NOON + timedelta(hours=12)),
        ("@monthly", datetime(2026, 4, 1, tzinfo=UTC)),
        ("0 0 * * sun", datetime(2026, 3, 8, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
        (" 5  *\t* * * ", NOON + timedelta(minutes=5)),
    ],
)
def test_aliases_names_and_rare_days_are_valid_cron_expressions(alias: str, next_run: datetime) -> None:
    assert parse_timetable(alias).after(NOON) == next_run


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("0 */15 * * * *", "has six fields, but a cron expression here has five"),
        ("0 */15 * * * *", r"minute hour day-of-month month day-of-week; do you mean '\*/15 \* \* \* \*'\?"),
        ("* * * * * *", r"do you mean '\* \* \* \* \*'\?"),
        ("30 0 3 * * mon", r"do you mean '0 3 \* \* mon'\?"),
        ("0 0 12 ? * MON-FRI", r"do you mean '0 12 \* \* MON-FRI'\?"),
        ("0 0 3 * * ? *", r"has seven fields.*do you mean '0 3 \* \* \*'\?"),
        ("*/15 * * * * 0", r"mean '\* \* \* \* 0' \(seconds first\) or '\*/15 \* \* \* \*' \(seconds last\)\?"),
        ("30 2 * * * 0", r"mean '2 \* \* \* 0' \(seconds first\) or '30 2 \* \* \*' \(seconds last\)\?"),
        ("*/15 * * * * *", r"mean '\* \* \* \* \*' \(seconds first\) or '\*/15 \* \* \* \*' \(seconds last\)\?"),
        ("30 2 * * * 0 *", r"has seven fields.*\(seconds first\) or '30 2 \* \* \*' \(seconds last\)\?"),
        ("0 30 2 * * 1", r"do you mean '30 2 \* \* 1'\?"),
        ("30 2 * * 8 0", r"do you mean '2 \* \* 8 0'\?"),
        ("*/10 0 3 * * mon", r"do you mean '0 3 \* \* mon'\?"),
        ("0 0 1 1 * 0 2030", "has seven fields"),
        ("x y z * * *", r"has six fields.*as in '\*/15 \* \* \* \*'"),
        ("*/15 * * *", "five fields"),
        ("*/15", "five fields"),
        ("1 2 3 4 5 6 7 8", "five fields"),
        ("@every 5m", "do you mean '300'?"),
        ("@reboot", "five fields"),
        ("15m", "do you mean '900'?"),
        ("2 hours", "do you mean '7200'?"),
        ("0m", "five fields"),
        ("0 0 30 2 *", "never falls due"),
        ("0 0 31 4,6,9,11 *", "never falls due"),
        ("61 * * * *", "not a valid cron expression"),
        ("*/0 * * * *", "not a valid cron expression"),
        ("-5 * * * *", "not a valid cron expression"),
        ("*/90 * * * *", "larger than the minute field"),
        ("0 */48 * * *", "larger than the hour field"),
        ("R * * * *", "differs from process to process"),
        ("H(0-5) * * * *", "differs from process to process"),
        ("", "five fields"),
        ("   ", "five fields"),
        ("Off", "neither seconds, nor off"),
        ("soon", "neither seconds, nor off"),
        ("True", "neither seconds, nor off"),
    ],
)
def test_invalid_timetables_are_refused_with_a_suggestion(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        parse_timetable(text)


@pytest.mark.parametrize("text", ["0", "-5", "-0", "nan", "inf", "-inf", "infinity", "1e400", "1e9", "1e-9", "0.01"])
def test_an_interval_is_at_least_a_tenth_of_a_second_and_at_most_a_year(text: str) -> None:
    with pytest.raises(ValueError, match=r"at least 0.1 seconds and at most a year"):
        parse_timetable(text)


CRON_PARTS = st.lists(st.text("0123456789*/-,?LW#@ RHmonsun\t", min_size=1, max_size=6), min_size=1, max_size=8)


@given(st.one_of(st.text(max_size=40), CRON_PARTS.map(" ".join)))
def test_any_text_is_a_valid_timetable_or_a_value_error(text: str) -> None:
    try:
        timetable = parse_timetable(text)
    except ValueError:
        return

    next_run = timetable.after(NOON)
    assert next_run is None or next_run > NOON
    if isinstance(timetable, Cron):
        assert next_run is not None
        assert next_run.second == 0


@pytest.mark.parametrize("text", ["0 */15 * * * *", "@every 5m", "15m", "0", "0 0 30 2 *"])
def test_the_error_at_start_names_the_setting(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("REDRIVE_RETRY_INTERVAL", text)

    with pytest.raises(SettingsError, match="REDRIVE_RETRY_INTERVAL") as caught:
        read_settings()

    assert repr(text) in str(caught.value)
