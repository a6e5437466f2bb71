"""Texts about resends: why recipients are skipped, what to do, and what is expected of the others."""

from collections.abc import Mapping
from typing import NamedTuple

from redrive.v1.delivery_pb2 import FailedRecipient
from redrive.v1.error_pb2 import ErrorType
from redrive.v1.resend_pb2 import ResendCause, SkipReason


class SkipText(NamedTuple):
    """Why a resend skips recipients, and what to do: on the command line, and in the dashboard."""

    label: str
    cli_advice: str = ""
    dashboard_advice: str = ""


_NO_RESEND = "No further resend is possible."
_FAILS_AGAIN = "Another attempt would fail the same way."
_MAY_HAVE_ARRIVED = "The message may have arrived."
SKIP_TEXTS: Mapping[int, SkipText] = {
    SkipReason.SKIP_REASON_ALREADY_SENT: SkipText("already sent"),
    SkipReason.SKIP_REASON_IN_PROGRESS: SkipText("pending or sending"),
    SkipReason.SKIP_REASON_ATTEMPTS_USED_UP: SkipText("attempts used up", _NO_RESEND, _NO_RESEND),
    SkipReason.SKIP_REASON_PERMANENT_ERROR: SkipText(
        "permanent error",
        f"{_FAILS_AGAIN} To resend anyway, name them with --error-type or --recipient.",
        f"{_FAILS_AGAIN} To resend anyway, select them or their error type.",
    ),
    SkipReason.SKIP_REASON_UNCONFIRMED: SkipText(
        "unconfirmed",
        f"{_MAY_HAVE_ARRIVED} --include-unconfirmed resends it, and it may then arrive twice.",
        f"{_MAY_HAVE_ARRIVED} Include the unconfirmed to resend it; it may then arrive twice.",
    ),
    SkipReason.SKIP_REASON_OTHER_ERROR_TYPE: SkipText("another error type"),
    SkipReason.SKIP_REASON_UNKNOWN_RECIPIENT: SkipText("not a recipient of this message"),
    SkipReason.SKIP_REASON_CANCELLED: SkipText("cancelled"),
    SkipReason.SKIP_REASON_TOKEN_NOT_REPLACED: SkipText(
        "waiting for a new token",
        "Replace the page's token with redrive page put PAGE, then resend.",
        "Replace the page's token, then resend.",
    ),
    SkipReason.SKIP_REASON_CHANGED_SINCE: SkipText(
        "changed since the selection", "", "Open the preview again to include them."
    ),
}
CAUSE_TEXTS: Mapping[int, str] = {
    ResendCause.RESEND_CAUSE_RETRYABLE_NOW: "retryable now",
    ResendCause.RESEND_CAUSE_OUTSIDE_WINDOW: "will fail again: outside the 24-hour window",
    ResendCause.RESEND_CAUSE_WILL_FAIL_AGAIN: "will fail again: permanent error",
    ResendCause.RESEND_CAUSE_TOKEN_NOT_REPLACED: "will fail again: waiting for a new token",
    ResendCause.RESEND_CAUSE_ALREADY_SENT: "already sent",
    ResendCause.RESEND_CAUSE_ATTEMPTS_USED_UP: "attempts used up",
    ResendCause.RESEND_CAUSE_UNCONFIRMED: "unconfirmed",
    ResendCause.RESEND_CAUSE_IN_PROGRESS: "pending or sending",
    ResendCause.RESEND_CAUSE_CANCELLED: "cancelled",
    ResendCause.RESEND_CAUSE_OTHER_ERROR_TYPE: "another error type",
    ResendCause.RESEND_CAUSE_UNKNOWN_RECIPIENT: "not a recipient of this message",
    ResendCause.RESEND_CAUSE_PAGE_ON_HOLD: "pending until the page is released",
    ResendCause.RESEND_CAUSE_CHANGED_SINCE: "changed since the selection",
}


def skip_text(reason: int) -> SkipText:
    """Return the texts for a skip reason; its number for one that this version does not know."""
    return SKIP_TEXTS.get(reason, SkipText(f"reason {reason}"))


def cli_resend_advice(reason: int) -> str:
    """Return the reason and what to do, in a line; empty if there is nothing to do."""
    text = skip_text(reason)
    return f"{text.label.capitalize()}: {text.cli_advice}" if text.cli_advice else ""


def skip_reason_of(failed: FailedRecipient, max_retry_attempts: int) -> SkipReason.ValueType:
    """Return why a plain resend skips a failed recipient, by the server's rules; UNSPECIFIED if it does not."""
    if failed.retryable:
        return SkipReason.SKIP_REASON_UNSPECIFIED
    if failed.attempt_count > max_retry_attempts:
        return SkipReason.SKIP_REASON_ATTEMPTS_USED_UP
    if failed.unconfirmed:
        return SkipReason.SKIP_REASON_UNCONFIRMED
    if failed.last_error_type == ErrorType.ERROR_TYPE_ACCESS_TOKEN:
        return SkipReason.SKIP_REASON_TOKEN_NOT_REPLACED
    return SkipReason.SKIP_REASON_PERMANENT_ERROR
