"""A report as it is drawn: figures, charts, and a table beside each chart that says the same."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from nicegui import ui

from redrive.dashboard.elements import Tag, time_of
from redrive.dashboard.formats import moment
from redrive.dashboard.report_figures import attempts_chart, errors_chart, headline, hours_chart
from redrive.dashboard.report_rows import (
    ATTEMPT_COLUMNS,
    ERROR_COLUMNS,
    HOUR_COLUMNS,
    MESSAGE_COLUMNS,
    AttemptRow,
    ErrorRow,
    HourRow,
    MessageRow,
)
from redrive.dashboard.report_scope import Reading
from redrive.dashboard.table import Table
from redrive.v1.report_service_pb2 import (
    AttemptReport,
    CommonError,
    GetDeliveryReportResponse,
    HourReport,
    MessageFailures,
    MessageReport,
)

_HOURS = 168  # that the table shows; the chart has all
Item = TypeVar("Item")
Options: TypeAlias = Callable[[Sequence[Item]], dict[str, Any]]


class ReportView:
    """Filled again and again."""

    def __init__(self) -> None:
        self._shown: Reading | None = None
        with Tag("section", "", "card", aria_label="In short"):
            with Tag("dl", "", "facts headline"):
                self._figures = {name: _fact(name) for name in headline(GetDeliveryReportResponse())}
            self._part = Tag(
                "p", "Only part of the time is shown: retries in it may belong to first attempts before it.", "hint"
            )
            with Tag("p", "", "note") as self._uncounted:
                Tag("span", "What was recorded before ")
                self._counted_from = time_of(Timestamp())
                Tag("span", ", by an older release, may be missing: redrive-server rebuild counts it.")
        self._errors = _Part("Commonest errors", errors_chart, _errors_table)
        with Tag("div", "", "columns"):
            self._attempts = _Part("What retries achieved", attempts_chart, _attempts_table)
            fold = f"As a table (the last {_HOURS} hours in which something became known)"
            self._hours = _Part("Over time, by the hour", hours_chart, _hours_table, fold)
        with Tag("section", "", "report-messages", aria_label="By message"):
            Tag("h2", "By message")
            self._messages: Table[tuple[MessageReport, MessageFailures | None]] = Table(
                "Messages", MESSAGE_COLUMNS, MessageRow, "No message has attempts in this time."
            )

    def show(self, reading: Reading, *, is_whole: bool) -> None:
        """A report; only what changed is drawn anew."""
        if reading == self._shown:
            return
        self._shown = reading
        report = reading.report
        for name, figure in headline(report).items():
            for box, words in zip(self._figures[name], figure, strict=True):
                box.say(words)
        self._part.show(when=not is_whole)
        self._uncounted.show(when=report.HasField("counted_from_time"))
        self._counted_from.attributes(datetime=moment(report.counted_from_time))
        self._errors.show(report.errors)
        self._attempts.show(report.attempts)
        self._hours.show(report.hours, most=_HOURS)
        self._messages.show([(one, reading.failures.get(one.message_id)) for one in report.messages])


class _Part(Generic[Item]):
    """A chart, and a table that says the same; with `fold` the table is folded away under these words."""

    def __init__(self, title: str, options: Options[Item], table: Callable[[str], Table[Item]], fold: str = "") -> None:
        self._options = options
        with Tag("section", "", "card", aria_label=title):
            Tag("h2", title)
            with Tag("div", "", "chart-and-table"):
                with Tag("div"):
                    self._chart = ui.echart(options([]), renderer="svg").classes("chart").props('aria-hidden="true"')
                with Tag("details" if fold else "div"):
                    if fold:
                        Tag("summary", fold)
                    self._table = table(title)

    def show(self, items: Sequence[Item], *, most: int = 0) -> None:
        """Fills both; of many items the table shows the last."""
        self._chart.set_visibility(bool(items))
        self._chart.options.update(self._options(items))
        self._chart.update()
        self._table.show(items[-most:])


def _fact(name: str) -> tuple[Tag, Tag]:
    with Tag("div"):
        Tag("dt", name)
        with Tag("dd"):
            return Tag("span"), Tag("span", "", "of")


def _errors_table(caption: str) -> Table[CommonError]:
    return Table(caption, ERROR_COLUMNS, ErrorRow, "No attempt failed.")


def _attempts_table(caption: str) -> Table[AttemptReport]:
    return Table(caption, ATTEMPT_COLUMNS, AttemptRow, "Nothing was attempted.")


def _hours_table(caption: str) -> Table[HourReport]:
    return Table(caption, HOUR_COLUMNS, HourRow, "Nothing became known in this time.")
