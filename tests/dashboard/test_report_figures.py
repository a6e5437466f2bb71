"""The figures of a report as text."""

from datetime import UTC, datetime

from redrive.dashboard.pages.report_figures import (
    attempt_name,
    attempts_chart,
    errors_chart,
    failing_text,
    headline,
    hours_chart,
    reached_text,
)
from redrive.dashboard.state.report_scope import BETWEEN, ReportScope
from redrive.texts.errors import error_code
from redrive.v1.error_pb2 import DeliveryError, ErrorType
from redrive.v1.report_service_pb2 import (
    AttemptReport,
    CommonError,
    ErrorTypeFailures,
    FirstAttempts,
    GetDeliveryReportResponse,
    HourReport,
    MessageFailures,
)

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
_FIRST = AttemptReport(attempt_number=1, made=1_000, sent=940, failed=50, unconfirmed=10)
_RETRY = AttemptReport(attempt_number=2, made=40, sent=30, failed=10)
_REPORT = GetDeliveryReportResponse(
    first_attempts=FirstAttempts(attempted=1_000, sent=940, success_rate=0.94), attempts=[_FIRST, _RETRY]
)


def test_headline_shows_success_at_first_in_the_end_and_by_retries() -> None:
    assert {name: tuple(figure) for name, figure in headline(_REPORT).items()} == {
        "Sent at the first attempt": ("94 %", "940 of 1,000 recipients"),
        "Sent in the end": ("97 %", "970 of 1,000 recipients"),
        "Successful retries": ("75 %", "30 of 40 retries"),
        "Failed or unconfirmed attempts": ("7 %", "70 of 1,040 attempts"),
    }


def test_an_empty_report_has_no_shares() -> None:
    figures = headline(GetDeliveryReportResponse())
    assert {figure.of for figure in figures.values()} == {"no recipient yet", "no retry yet", "no attempt yet"}
    assert reached_text(FirstAttempts()) == "no attempt yet"


def test_attempts_and_codes_have_names() -> None:
    assert [attempt_name(_FIRST), attempt_name(_RETRY)] == ["First attempt", "Retry 1"]
    assert [error_code(100, 2018001), error_code(2, 0), error_code(0, 0)] == ["100/2018001", "2", ""]


def test_present_failures_are_shown_with_the_most_common_type() -> None:
    token = ErrorTypeFailures(error_type=ErrorType.ERROR_TYPE_ACCESS_TOKEN, count=20)
    network = ErrorTypeFailures(error_type=ErrorType.ERROR_TYPE_NETWORK, count=1)
    assert failing_text(None) == "none"
    assert failing_text(MessageFailures(error_types=[network])) == "1 recipient, all: Network"
    assert failing_text(MessageFailures(error_types=[token, network])) == "21 recipients, most: Token expired"


def test_charts_say_what_the_tables_say() -> None:
    error = CommonError(error=DeliveryError(code=2, type=ErrorType.ERROR_TYPE_NETWORK), count=3, percentage=33.33)
    hour = HourReport(sent=5, failed=2)
    hour.start_time.FromDatetime(NOW)

    assert attempts_chart([_FIRST, _RETRY])["series"][0]["data"] == [940, 30]
    assert errors_chart([error])["series"][0]["data"] == [33.3]
    assert errors_chart([error])["yAxis"]["data"] == ["Network 2"]
    assert hours_chart([hour])["series"][1]["data"] == [[NOW.timestamp() * 1000, 2]]


def test_time_range_is_counted_back_from_now() -> None:
    start, end = ReportScope(span="24").bounds(NOW)
    assert (start, end) == (datetime(2026, 2, 28, 12, 30, tzinfo=UTC), None)
    assert ReportScope().bounds(NOW) == (None, None)
    assert ReportScope(span=BETWEEN, end=NOW).bounds(NOW) == (None, NOW)
    assert ReportScope(span=BETWEEN, end=NOW).covers_all_time
    assert not ReportScope(span="24").covers_all_time


def test_report_that_ends_before_it_begins_is_a_problem() -> None:
    assert ReportScope(span=BETWEEN, start=NOW, end=NOW).problem()
    assert not ReportScope(span=BETWEEN, start=NOW).problem()
    assert not ReportScope(span="24", start=NOW, end=NOW).problem()
