"""The rows of a report's tables."""

from google.protobuf.timestamp_pb2 import Timestamp

from redrive.dashboard.pages.report_figures import (
    attempt_name,
    attempt_share,
    error_percentage,
    failing_text,
    reached_text,
)
from redrive.dashboard.widgets.elements import Tag, link, time_of
from redrive.dashboard.widgets.labels import error_label
from redrive.dashboard.widgets.status import Chip
from redrive.dashboard.widgets.table import cell
from redrive.texts.errors import error_code
from redrive.texts.formats import format_number, iso_time
from redrive.v1.report_service_pb2 import AttemptReport, CommonError, HourReport, MessageFailures, MessageReport

ERROR_COLUMNS = ("Error", "Platform message", "Attempts#", "Share of failures#")
ATTEMPT_COLUMNS = ("Attempt", "Made#", "Sent#", "Failed#", "Unconfirmed#", "Success#")
HOUR_COLUMNS = ("Hour", "Sent#", "Failed#", "Unconfirmed#")
MESSAGE_COLUMNS = ("Message", "Created", "Sent at the first attempt", "Failed now")


class ReportErrorRow:
    """One of the most common errors."""

    def __init__(self) -> None:
        with Tag("tr") as self.box:
            with cell("Error"):
                self._type = Chip(error_label(0))
            with cell("Platform message", classes="wide"):
                self._message = Tag("span")
                self._code = Tag("span", "", "of")
            self._count, self._share = cell("Attempts", classes="number"), cell("Share of failures", classes="number")

    def show(self, item: CommonError) -> None:
        self._type.show(error_label(item.error.type))
        self._code.update_text(
            f"Code {error_code(item.error.code, item.error.subcode)}"
            if item.error.code
            else "No code: the error is not from the platform"
        )
        self._message.update_text(item.error.message)
        self._count.update_text(format_number(item.count))
        self._share.update_text(error_percentage(item))


class ReportAttemptRow:
    """The first attempts, or the retries with one number."""

    def __init__(self) -> None:
        with Tag("tr") as self.box:
            self._name = cell("Attempt")
            self._counts = {name: cell(name, classes="number") for name in ("Made", "Sent", "Failed", "Unconfirmed")}
            self._share = cell("Success", classes="number")

    def show(self, item: AttemptReport) -> None:
        self._name.update_text(attempt_name(item))
        for name, box in self._counts.items():
            box.update_text(format_number(getattr(item, name.lower())))
        self._share.update_text(attempt_share(item))


class ReportHourRow:
    """The outcomes recorded in one hour."""

    def __init__(self) -> None:
        with Tag("tr") as self.box:
            with cell("Hour"):
                self._start = time_of(Timestamp())
            self._counts = {name: cell(name, classes="number") for name in ("Sent", "Failed", "Unconfirmed")}

    def show(self, item: HourReport) -> None:
        self._start.set_attributes(datetime=iso_time(item.start_time))
        for name, box in self._counts.items():
            box.update_text(format_number(getattr(item, name.lower())))


class ReportMessageRow:
    """A message with attempts in the report."""

    def __init__(self) -> None:
        with Tag("tr") as self.box:
            with cell("Message", classes="wide"):
                self._title = link("", "/")
            with cell("Created"):
                self._created = time_of(Timestamp())
            self._first = cell("Sent at the first attempt")
            with cell("Failed now"):
                self._failing = link("", "/")

    def show(self, item: tuple[MessageReport, MessageFailures | None]) -> None:
        message, failures = item
        self._title.update_text(message.title or "Untitled")
        self._title.set_attributes(href=f"/messages/{message.message_id}")
        self._created.set_attributes(datetime=iso_time(message.create_time))
        self._first.update_text(reached_text(message.first_attempts))
        self._failing.update_text(failing_text(failures))
        self._failing.set_attributes(href=f"/messages/{message.message_id}/failed" if failures is not None else None)
