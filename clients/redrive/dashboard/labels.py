"""What the contract's enums are called on the screen, and how they look."""

from collections.abc import Mapping
from typing import NamedTuple

from redrive.v1.error_pb2 import ErrorType
from redrive.v1.message_pb2 import MessageStatus, RetryType
from redrive.v1.resend_pb2 import SkipReason


class Label(NamedTuple):
    """A word, an icon's name, and a tone: neutral, busy, good, warn or bad."""

    word: str
    icon: str
    tone: str


STATUSES: Mapping[int, Label] = {
    MessageStatus.MESSAGE_STATUS_PENDING: Label("Waiting", "schedule", "neutral"),
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
    RetryType.RETRY_TYPE_MANUAL: "By hand",
    RetryType.RETRY_TYPE_AUTO: "Right away",
    RetryType.RETRY_TYPE_CRON: "By timer",
}
# The same reason twice: why somebody in a preview is left out, and what would take them.
SKIP_REASONS: Mapping[int, tuple[str, str]] = {
    SkipReason.SKIP_REASON_ALREADY_SENT: ("already sent", ""),
    SkipReason.SKIP_REASON_IN_PROGRESS: ("on their way already", ""),
    SkipReason.SKIP_REASON_ATTEMPTS_USED_UP: ("attempts used up", "Nothing more can be resent to them."),
    SkipReason.SKIP_REASON_PERMANENT_ERROR: (
        "would fail the same way",
        "Another attempt does not help. To insist, choose them or their error type.",
    ),
    SkipReason.SKIP_REASON_UNCONFIRMED: (
        "may have got it",
        "Nobody knows whether it arrived. Include the unconfirmed to resend; it may then arrive twice.",
    ),
    SkipReason.SKIP_REASON_OTHER_ERROR_TYPE: ("another error type", ""),
    SkipReason.SKIP_REASON_UNKNOWN_RECIPIENT: ("not a recipient of this message", ""),
    SkipReason.SKIP_REASON_CANCELLED: ("cancelled", ""),
    SkipReason.SKIP_REASON_CHANGED_SINCE: (
        "changed since you looked",
        "Open the preview anew to take them as they are.",
    ),
    SkipReason.SKIP_REASON_TOKEN_NOT_REPLACED: (
        "the page's token failed them",
        "Replace the token first; then they can be resent.",
    ),
}


def status_label(status: int) -> Label:
    """The label of a message's status; its number for one that this version does not know, dots for none yet."""
    return STATUSES.get(status, Label(f"Status {status}" if status else "…", "hourglass_empty", "neutral"))


def error_label(error_type: int) -> Label:
    """The label of an error type; its number for one that this version does not know."""
    return ERROR_TYPES.get(error_type, Label(f"Type {error_type}", "help", "neutral"))


def skip_words(reason: int) -> tuple[str, str]:
    """Why somebody is left out, and what would take them."""
    return SKIP_REASONS.get(reason, (f"reason {reason}", ""))
