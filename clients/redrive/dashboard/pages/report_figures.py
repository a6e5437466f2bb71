"""The figures of a report as text, and its charts."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any, NamedTuple

from redrive.dashboard.pages.outcomes import COLOURS, OutcomeBucket, chart
from redrive.dashboard.widgets.labels import error_label
from redrive.texts.formats import format_count, format_number, format_share
from redrive.v1.report_service_pb2 import (
    AttemptReport,
    CommonError,
    FirstAttempts,
    GetDeliveryReportResponse,
    HourReport,
    MessageFailures,
)

_LINES = {"lineStyle": {"color": "#80808055"}}  # visible on light and dark backgrounds


class Figure(NamedTuple):
    """A percentage, and the numbers behind it."""

    share: str
    of: str


def headline(report: GetDeliveryReportResponse) -> dict[str, Figure]:
    """Return success at the first attempt and in the end, success of retries, and failed attempts."""
    first, attempts = report.first_attempts, report.attempts
    retries = [attempt for attempt in attempts if attempt.attempt_number > 1]
    failed = sum(attempt.failed + attempt.unconfirmed for attempt in attempts)
    return {
        "Sent at the first attempt": _figure(first.sent, first.attempted, "recipient"),
        "Sent in the end": _figure(sum(attempt.sent for attempt in attempts), first.attempted, "recipient"),
        "Successful retries": _figure(
            sum(attempt.sent for attempt in retries), sum(attempt.made for attempt in retries), "retry", "retries"
        ),
        "Failed or unconfirmed attempts": _figure(failed, sum(attempt.made for attempt in attempts), "attempt"),
    }


def reached_text(first: FirstAttempts) -> str:
    """Return 95 %: 953 of 1,000."""
    if not first.attempted:
        return "no attempt yet"
    return (
        f"{format_share(first.sent, first.attempted)}: {format_number(first.sent)} of {format_number(first.attempted)}"
    )


def attempt_name(attempt: AttemptReport) -> str:
    """Return First attempt, Retry 1, Retry 2."""
    return "First attempt" if attempt.attempt_number == 1 else f"Retry {attempt.attempt_number - 1}"


def attempt_share(attempt: AttemptReport) -> str:
    """Return the percentage of these attempts that are sent."""
    return format_share(attempt.sent, attempt.made)


def error_percentage(error: CommonError) -> str:
    """Return the share of this error in all failed attempts."""
    return f"{error.percentage:.1f} %"


def failing_text(failures: MessageFailures | None) -> str:
    """Return 12 recipients, most: Network."""
    if failures is None or not failures.error_types:
        return "none"
    count = sum(one.count for one in failures.error_types)
    label = error_label(failures.error_types[0].error_type).text
    return f"{format_count(count, 'recipient')}, {'all' if len(failures.error_types) == 1 else 'most'}: {label}"


def hours_chart(hours: Sequence[HourReport]) -> dict[str, Any]:
    """Return a stacked bar for each hour."""
    options = chart(
        OutcomeBucket(hour.start_time.ToDatetime(tzinfo=UTC), hour.sent, hour.failed, hour.unconfirmed)
        for hour in hours
    )
    options["xAxis"]["axisLabel"] = {"hideOverlap": True}
    return options


def attempts_chart(attempts: Sequence[AttemptReport]) -> dict[str, Any]:
    """Return a stacked bar for each attempt number."""
    series = [
        _bars(name.capitalize(), colour, [getattr(attempt, name) for attempt in attempts], stack="all")
        for name, colour in COLOURS.items()
    ]
    names = {"type": "category", "data": [attempt_name(attempt) for attempt in attempts]}
    return _chart(xAxis=names, yAxis={"type": "value", "minInterval": 1, "splitLine": _LINES}, series=series)


def errors_chart(errors: Sequence[CommonError]) -> dict[str, Any]:
    """Return a bar for each error, the most common on top, in percent of all failed attempts."""
    names = [f"{error_label(error.error.type).text} {error.error.code or ''}".strip() for error in errors]
    shares = [round(error.percentage, 1) for error in errors]
    return _chart(
        xAxis={"type": "value", "axisLabel": {"formatter": "{value} %", "hideOverlap": True}, "splitLine": _LINES},
        yAxis={"type": "category", "inverse": True, "data": names},
        series=[_bars("Of all failed attempts", COLOURS["failed"], shares)],
    )


def _figure(part: int, whole: int, one: str, many: str = "") -> Figure:
    """Return the figure; limited to 100 %, because retries of a partial report may exceed its first attempts."""
    if not whole:
        return Figure("–", f"{format_number(part)} sent" if part else f"no {one} yet")  # noqa: RUF001 - a dash
    return Figure(format_share(min(part, whole), whole), f"{format_number(part)} of {format_count(whole, one, many)}")


def _bars(name: str, colour: str, values: Sequence[float], **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": "bar",
        "barMaxWidth": 36,
        "itemStyle": {"color": colour},
        "data": list(values),
        **more,
    }


def _chart(**parts: Any) -> dict[str, Any]:
    return {
        "animation": False,
        "textStyle": {"fontFamily": "system-ui, sans-serif"},
        "legend": {"bottom": 0, "icon": "roundRect"},
        "tooltip": {"trigger": "axis", "confine": True},
        "grid": {"left": 8, "right": 16, "top": 16, "bottom": 36, "containLabel": True},
        **parts,
    }
