"""A failed recipient in the list."""

from collections.abc import Callable
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from redrive.cli.failed import error_code
from redrive.cli.skip_reasons import why_not
from redrive.dashboard.chips import Chip
from redrive.dashboard.elements import Tag, tick, time_of
from redrive.dashboard.formats import moment
from redrive.dashboard.labels import Label, error_label, skip_words
from redrive.dashboard.table import cell
from redrive.v1.delivery_pb2 import FailedRecipient

COLUMNS = ("Select", "Recipient", "Last error", "Attempts#", "Retry", "Last attempt", "Next retry")
_RETRYABLE = Label("Can be retried", "replay", "good")


class Failed(NamedTuple):
    """What a row shows."""

    recipient: FailedRecipient
    max_retry_attempts: int
    is_selected: bool


class FailedRow:
    """Tells when its tick is set or taken away."""

    def __init__(self, ticked: Callable[[str, bool], None]) -> None:
        self._id = ""
        with Tag("tr") as self.box:
            with cell("Select"):
                self._tick = tick("Select", lambda is_on: ticked(self._id, is_on))
            with cell("Recipient", classes="wide recipient"):
                self._name = Tag("strong", "")
                self._recipient_id = Tag("span", "", "muted")
            with cell("Last error", classes="wide"):
                self._type = Chip(error_label(0))
                self._error = Tag("span", "", "error-words")
            self._attempts = cell("Attempts", classes="number")
            with cell("Retry"):
                self._retry = Chip(_RETRYABLE)
            with cell("Last attempt"):
                self._last = time_of(Timestamp())
            with cell("Next retry"):
                self._next = time_of(Timestamp())

    def show(self, item: Failed) -> None:
        """Fills the row."""
        recipient = item.recipient
        self._id = recipient.recipient_id
        label = f"Select {' '.join(filter(None, (recipient.recipient_name, recipient.recipient_id)))}"
        self._tick.attributes(checked=item.is_selected, aria_label=label)
        self._name.say(recipient.recipient_name)
        self._recipient_id.say(recipient.recipient_id)
        self._type.show(error_label(recipient.last_error_type))
        self._error.say(error_words(recipient))
        self._attempts.say(f"{recipient.attempt_count} of {item.max_retry_attempts + 1}")
        self._retry.show(retry_label(recipient, item.max_retry_attempts))
        self._last.attributes(datetime=moment(recipient.last_attempt_time))
        self._next.attributes(datetime=moment(recipient.next_retry_time))


def error_words(recipient: FailedRecipient) -> str:
    """The platform's own words, with its code."""
    code = error_code(recipient.last_error_code, recipient.last_error_subcode)
    return f"{recipient.last_error_message} ({code})" if code else recipient.last_error_message


def retry_label(recipient: FailedRecipient, max_retry_attempts: int) -> Label:
    """Whether a plain resend takes somebody, or why not."""
    reason = why_not(recipient, max_retry_attempts)
    if not reason:
        return _RETRYABLE
    icon = "help" if recipient.unconfirmed else "block"
    return Label(skip_words(reason)[0].capitalize(), icon, "warn" if recipient.unconfirmed else "neutral")
