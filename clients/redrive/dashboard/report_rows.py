"""The rows of a report's tables."""

from google.protobuf.timestamp_pb2 import Timestamp

from redrive.dashboard.chips import Chip
from redrive.dashboard.elements import Tag, link, time_of
from redrive.dashboard.formats import moment, number
from redrive.dashboard.labels import error_label
from redrive.dashboard.report_figures import attempt_name, attempt_share, code, failing_now, percentage, reached
from redrive.dashboard.table import cell
from redrive.v1.report_service_pb2 import AttemptReport, CommonError, HourReport, MessageFailures, MessageReport

ERROR_COLUMNS = ("Error", "What the platform said", "Attempts#", "Of all failed#")
ATTEMPT_COLUMNS = ("Attempt", "Made#", "Sent#", "Failed#", "Unconfirmed#", "Reached#")
HOUR_COLUMNS = ("Hour", "Sent#", "Failed#", "Unconfirmed#")
MESSAGE_COLUMNS = ("Message", "Created", "Reached at the first attempt", "Not reached now")


class ErrorRow:
    """One of the commonest errors."""

    def __init__(self) -> None:
        with Tag("tr") as self.box:
            with cell("Error"):
                self._type = Chip(error_label(0))
            with cell("What the platform said", classes="wide"):
                self._words = Tag("span")
                self._code = Tag("span", "", "of")
            self._count, self._share = cell("Attempts", classes="number"), cell("Of all failed", classes="number")

    def show(self, item: CommonError) -> None:
        """Fills the row."""
        self._type.show(error_label(item.error.type))
        self._code.say(f"Code {code(item.error)}" if item.error.code else "No code: it did not come from the platform")
        self._words.say(item.error.message)
        self._count.say(number(item.count))
        self._share.say(percentage(item))


class AttemptRow:
    """The first attempts, or the retries of one number."""

    def __init__(self) -> None:
        with Tag("tr") as self.box:
            self._name = cell("Attempt")
            self._counts = {name: cell(name, classes="number") for name in ("Made", "Sent", "Failed", "Unconfirmed")}
            self._share = cell("Reached", classes="number")

    def show(self, item: AttemptReport) -> None:
        """Fills the row."""
        self._name.say(attempt_name(item))
        for name, box in self._counts.items():
            box.say(number(getattr(item, name.lower())))
        self._share.say(attempt_share(item))


class HourRow:
    """What became known in an hour."""

    def __init__(self) -> None:
        with Tag("tr") as self.box:
            with cell("Hour"):
                self._start = time_of(Timestamp())
            self._counts = {name: cell(name, classes="number") for name in ("Sent", "Failed", "Unconfirmed")}

    def show(self, item: HourReport) -> None:
        """Fills the row."""
        self._start.attributes(datetime=moment(item.start_time))
        for name, box in self._counts.items():
            box.say(number(getattr(item, name.lower())))


class MessageRow:
    """A message that has attempts in the report."""

    def __init__(self) -> None:
        with Tag("tr") as self.box:
            with cell("Message", classes="wide"):
                self._title = link("", "/")
            with cell("Created"):
                self._created = time_of(Timestamp())
            self._first = cell("Reached at the first attempt")
            with cell("Not reached now"):
                self._failing = link("", "/")

    def show(self, item: tuple[MessageReport, MessageFailures | None]) -> None:
        """Fills the row."""
        message, failures = item
        self._title.say(message.title or "Untitled")
        self._title.attributes(href=f"/messages/{message.message_id}")
        self._created.attributes(datetime=moment(message.create_time))
        self._first.say(reached(message.first_attempts))
        self._failing.say(failing_now(failures))
        self._failing.attributes(href=f"/messages/{message.message_id}/failed" if failures is not None else None)
