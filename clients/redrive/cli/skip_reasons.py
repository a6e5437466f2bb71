"""Why a resend does not take somebody, and what would."""

from collections.abc import Mapping

from redrive.v1.delivery_pb2 import FailedRecipient
from redrive.v1.delivery_service_pb2 import SkipReason
from redrive.v1.error_pb2 import ErrorType

REASONS: Mapping[SkipReason.ValueType, str] = {
    SkipReason.SKIP_REASON_ALREADY_SENT: "sent already",
    SkipReason.SKIP_REASON_IN_PROGRESS: "pending or on the way",
    SkipReason.SKIP_REASON_ATTEMPTS_USED_UP: "attempts used up",
    SkipReason.SKIP_REASON_PERMANENT_ERROR: "permanent error",
    SkipReason.SKIP_REASON_UNCONFIRMED: "unconfirmed",
    SkipReason.SKIP_REASON_OTHER_ERROR_TYPE: "another error type",
    SkipReason.SKIP_REASON_UNKNOWN_RECIPIENT: "not a recipient of this message",
    SkipReason.SKIP_REASON_CANCELLED: "cancelled",
    SkipReason.SKIP_REASON_TOKEN_NOT_REPLACED: "token not replaced",
    SkipReason.SKIP_REASON_CHANGED_SINCE: "changed since",
}
_WAYS_ON: Mapping[SkipReason.ValueType, str] = {
    SkipReason.SKIP_REASON_ATTEMPTS_USED_UP: "nothing more can be resent to them",
    SkipReason.SKIP_REASON_PERMANENT_ERROR: (
        "another attempt would fail the same way; to insist, name them with --error-type or --recipient"
    ),
    SkipReason.SKIP_REASON_UNCONFIRMED: (
        "the message may have arrived; --include-unconfirmed resends, and it may then arrive twice"
    ),
    SkipReason.SKIP_REASON_TOKEN_NOT_REPLACED: (
        "the page's token failed them; replace it with redrive page put PAGE, then resend"
    ),
}


def why_not(failed: FailedRecipient, max_retry_attempts: int) -> SkipReason.ValueType:
    """Why a plain resend does not take a recipient, in the order in which the server judges; unspecified if it does."""
    if failed.retryable:
        return SkipReason.SKIP_REASON_UNSPECIFIED
    if failed.attempt_count > max_retry_attempts:
        return SkipReason.SKIP_REASON_ATTEMPTS_USED_UP
    if failed.unconfirmed:
        return SkipReason.SKIP_REASON_UNCONFIRMED
    if failed.last_error_type == ErrorType.ERROR_TYPE_ACCESS_TOKEN:
        return SkipReason.SKIP_REASON_TOKEN_NOT_REPLACED
    return SkipReason.SKIP_REASON_PERMANENT_ERROR


def way_on(reason: SkipReason.ValueType) -> str:
    """What a person can do about it, in a line; empty where there is nothing to say."""
    return f"{REASONS[reason].capitalize()}: {_WAYS_ON[reason]}." if reason in _WAYS_ON else ""
