"""A report's figures in words, and its charts: the tables beside them say the same."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any, NamedTuple

from redrive.dashboard.formats import counted, number, share
from redrive.dashboard.labels import error_label
from redrive.dashboard.outcomes import COLOURS, Step, chart
from redrive.v1.error_pb2 import DeliveryError
from redrive.v1.report_service_pb2 import (
    AttemptReport,
    CommonError,
    FirstAttempts,
    GetDeliveryReportResponse,
    HourReport,
    MessageFailures,
)

_LINES = {"lineStyle": {"color": "#80808055"}}  # on a light ground and on a dark one


class Figure(NamedTuple):
    """A share in big, and what it is a share of."""

    share: str
    of: str


def headline(report: GetDeliveryReportResponse) -> dict[str, Figure]:
    """Success at the first attempt and in the end, what retries reached, and how many attempts failed."""
    first, attempts = report.first_attempts, report.attempts
    retries = [attempt for attempt in attempts if attempt.attempt_number > 1]
    failed = sum(attempt.failed + attempt.unconfirmed for attempt in attempts)
    return {
        "Reached at the first attempt": _figure(first.sent, first.attempted, "recipient"),
        "Reached in the end": _figure(sum(attempt.sent for attempt in attempts), first.attempted, "recipient"),
        "Retries that reached somebody": _figure(
            sum(attempt.sent for attempt in retries), sum(attempt.made for attempt in retries), "retry", "retries"
        ),
        "Attempts without success": _figure(failed, sum(attempt.made for attempt in attempts), "attempt"),
    }


def reached(first: FirstAttempts) -> str:
    """95 %: 953 of 1,000."""
    if not first.attempted:
        return "nobody attempted yet"
    return f"{share(first.sent, first.attempted)}: {number(first.sent)} of {number(first.attempted)}"


def attempt_name(attempt: AttemptReport) -> str:
    """First attempt, Retry 1, Retry 2."""
    return "First attempt" if attempt.attempt_number == 1 else f"Retry {attempt.attempt_number - 1}"


def attempt_share(attempt: AttemptReport) -> str:
    """How many of them reached somebody."""
    return share(attempt.sent, attempt.made)


def percentage(error: CommonError) -> str:
    """Of all attempts that failed."""
    return f"{error.percentage:.1f} %"


def code(error: DeliveryError) -> str:
    """The platform's code and subcode; empty for a transport error."""
    if not error.code:
        return ""
    return f"{error.code} / {error.subcode}" if error.subcode else str(error.code)


def failing_now(failures: MessageFailures | None) -> str:
    """12 recipients, most of them: Network."""
    if failures is None or not failures.error_types:
        return "nobody"
    count = sum(one.count for one in failures.error_types)
    label = error_label(failures.error_types[0].error_type).word
    return f"{counted(count, 'recipient')}, {'all' if len(failures.error_types) == 1 else 'most'}: {label}"


def hours_chart(hours: Sequence[HourReport]) -> dict[str, Any]:
    """A stacked bar for each hour."""
    options = chart(
        Step(hour.start_time.ToDatetime(tzinfo=UTC), hour.sent, hour.failed, hour.unconfirmed) for hour in hours
    )
    options["xAxis"]["axisLabel"] = {"hideOverlap": True}
    return options


def attempts_chart(attempts: Sequence[AttemptReport]) -> dict[str, Any]:
    """A stacked bar for each attempt number."""
    series = [
        _bars(name.capitalize(), colour, [getattr(attempt, name) for attempt in attempts], stack="all")
        for name, colour in COLOURS.items()
    ]
    names = {"type": "category", "data": [attempt_name(attempt) for attempt in attempts]}
    return _chart(xAxis=names, yAxis={"type": "value", "minInterval": 1, "splitLine": _LINES}, series=series)


def errors_chart(errors: Sequence[CommonError]) -> dict[str, Any]:
    """A bar for each error, the commonest on top; they are percentages of all attempts that failed."""
    words = [f"{error_label(error.error.type).word} {error.error.code or ''}".strip() for error in errors]
    shares = [round(error.percentage, 1) for error in errors]
    return _chart(
        xAxis={"type": "value", "axisLabel": {"formatter": "{value} %", "hideOverlap": True}, "splitLine": _LINES},
        yAxis={"type": "category", "inverse": True, "data": words},
        series=[_bars("Of all failed attempts", COLOURS["failed"], shares)],
    )


def _figure(part: int, whole: int, one: str, many: str = "") -> Figure:
    """Of a part of the time only, retries can reach more people than were attempted at first."""
    if not whole:
        return Figure("–", f"{number(part)} reached" if part else f"no {one} yet")  # noqa: RUF001 - a dash
    return Figure(share(min(part, whole), whole), f"{number(part)} of {counted(whole, one, many)}")


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
