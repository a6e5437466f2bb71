"""The view of a report: figures, charts, and a table with the same data beside each chart."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from nicegui import ui

from redrive.dashboard.pages.report_figures import attempts_chart, errors_chart, headline, hours_chart
from redrive.dashboard.pages.report_rows import (
    ATTEMPT_COLUMNS,
    ERROR_COLUMNS,
    HOUR_COLUMNS,
    MESSAGE_COLUMNS,
    ReportAttemptRow,
    ReportErrorRow,
    ReportHourRow,
    ReportMessageRow,
)
from redrive.dashboard.state.report_scope import ReportData
from redrive.dashboard.widgets.elements import Tag, time_of
from redrive.dashboard.widgets.table import Table
from redrive.texts.formats import iso_time
from redrive.v1.report_service_pb2 import (
    AttemptReport,
    CommonError,
    GetDeliveryReportResponse,
    HourReport,
    MessageFailures,
    MessageReport,
)

_HOURS = 168  # hours that the table shows; the chart shows all
Item = TypeVar("Item")
Options: TypeAlias = Callable[[Sequence[Item]], dict[str, Any]]


class ReportView:
    """Shows the report that it is given."""

    def __init__(self) -> None:
        self._shown: ReportData | None = None
        with Tag("section", "", "card", aria_label="Summary"):
            with Tag("dl", "", "facts headline"):
                self._figures = {name: _fact(name) for name in headline(GetDeliveryReportResponse())}
            self._part = Tag(
                "p", "The time range is partial: its retries may belong to earlier first attempts.", "hint"
            )
            with Tag("p", "", "note") as self._uncounted:
                Tag("span", "Outcomes recorded before ")
                self._counted_from = time_of(Timestamp())
                Tag("span", " by an older release may be missing: redrive-server rebuild counts them.")
        self._errors = _ChartSection("Most common errors", errors_chart, _errors_table)
        with Tag("div", "", "columns"):
            self._attempts = _ChartSection("Results by attempt", attempts_chart, _attempts_table)
            fold = f"As a table (the last {_HOURS} hours with outcomes)"
            self._hours = _ChartSection("Outcomes by hour", hours_chart, _hours_table, fold)
        with Tag("section", "", "report-messages", aria_label="By message"):
            Tag("h2", "By message")
            self._messages: Table[tuple[MessageReport, MessageFailures | None]] = Table(
                "Messages", MESSAGE_COLUMNS, ReportMessageRow, "No message has attempts in this time range."
            )

    def show(self, reading: ReportData, *, covers_all_time: bool) -> None:
        """Show a report; only changed elements are updated."""
        if reading == self._shown:
            return
        self._shown = reading
        report = reading.report
        for name, figure in headline(report).items():
            for box, text in zip(self._figures[name], figure, strict=True):
                box.update_text(text)
        self._part.show(when=not covers_all_time)
        self._uncounted.show(when=report.HasField("counted_from_time"))
        self._counted_from.set_attributes(datetime=iso_time(report.counted_from_time))
        self._errors.show(report.errors)
        self._attempts.show(report.attempts)
        self._hours.show(report.hours, most=_HOURS)
        self._messages.show([(one, reading.failures.get(one.message_id)) for one in report.messages])


class _ChartSection(Generic[Item]):
    """A chart and a table with the same data; with `fold` the table is collapsed under this text."""

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
        """Show the items; the table shows only the last `most`, if given."""
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
    return Table(caption, ERROR_COLUMNS, ReportErrorRow, "No attempt failed.")


def _attempts_table(caption: str) -> Table[AttemptReport]:
    return Table(caption, ATTEMPT_COLUMNS, ReportAttemptRow, "No attempts.")


def _hours_table(caption: str) -> Table[HourReport]:
    return Table(caption, HOUR_COLUMNS, ReportHourRow, "No outcomes in this time range.")
