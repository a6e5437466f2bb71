"""The names and icons of the contract's enums in the dashboard."""

from collections.abc import Mapping
from typing import NamedTuple

from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import MessageStatus, RetryType


class Label(NamedTuple):
    """A text, the name of an icon, and a tone: neutral, busy, good, warn or bad."""

    text: str
    icon: str
    tone: str


STATUSES: Mapping[int, Label] = {
    MessageStatus.MESSAGE_STATUS_PENDING: Label("Pending", "schedule", "neutral"),
    MessageStatus.MESSAGE_STATUS_SENDING: Label("Sending", "send", "busy"),
    MessageStatus.MESSAGE_STATUS_SENT: Label("Sent", "check_circle", "good"),
    MessageStatus.MESSAGE_STATUS_PARTIALLY_SENT: Label("Partly sent", "rule", "warn"),
    MessageStatus.MESSAGE_STATUS_FAILED: Label("Failed", "error", "bad"),
    MessageStatus.MESSAGE_STATUS_PAUSED: Label("Paused", "pause_circle", "warn"),
    MessageStatus.MESSAGE_STATUS_CANCELLED: Label("Cancelled", "cancel", "neutral"),
}
ERROR_TYPES: Mapping[int, Label] = {
    ErrorType.ERROR_TYPE_ACCESS_TOKEN: Label("Token expired", "key_off", "bad"),
    ErrorType.ERROR_TYPE_RATE_LIMIT: Label("Rate limit", "speed", "warn"),
    ErrorType.ERROR_TYPE_NETWORK: Label("Network", "cloud_off", "warn"),
    ErrorType.ERROR_TYPE_INVALID_RECIPIENT: Label("Unknown recipient", "person_off", "bad"),
    ErrorType.ERROR_TYPE_PERMISSION: Label("Not permitted", "block", "bad"),
    ErrorType.ERROR_TYPE_OTHER: Label("Other", "help", "neutral"),
}
RETRY_TYPES: Mapping[int, str] = {
    RetryType.RETRY_TYPE_MANUAL: "Manual",
    RetryType.RETRY_TYPE_AUTO: "Automatic",
    RetryType.RETRY_TYPE_CRON: "Timer",
}


def status_label(status: int) -> Label:
    """Return the label of a message status; its number if this version does not know it, … if it is not set."""
    return STATUSES.get(status, Label(f"Status {status}" if status else "…", "hourglass_empty", "neutral"))


def error_label(error_type: int) -> Label:
    """Return the label of an error type; its number if this version does not know it."""
    return ERROR_TYPES.get(error_type, Label(f"Type {error_type}", "help", "neutral"))
