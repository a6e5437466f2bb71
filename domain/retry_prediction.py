"""The prediction of a resend's result for a recipient, which a dry run returns."""

from enum import StrEnum

import msgspec

from domain.delivery import DeliveryStatus
from domain.fault import ErrorType
from domain.retry import RetryState, SkipReason, permanent_failure_reason


class PredictedCause(StrEnum):
    """Why a resend would or would not reach a recipient."""

    RETRYABLE_NOW = "RETRYABLE_NOW"
    OUTSIDE_WINDOW = "OUTSIDE_WINDOW"
    WILL_FAIL_AGAIN = "WILL_FAIL_AGAIN"
    TOKEN_NOT_REPLACED = "TOKEN_NOT_REPLACED"  # noqa: S105 - the name of a cause, not a secret
    ALREADY_SENT = "ALREADY_SENT"
    ATTEMPTS_USED_UP = "ATTEMPTS_USED_UP"
    UNCONFIRMED = "UNCONFIRMED"
    IN_PROGRESS = "IN_PROGRESS"
    CANCELLED = "CANCELLED"
    OTHER_ERROR_TYPE = "OTHER_ERROR_TYPE"
    UNKNOWN_RECIPIENT = "UNKNOWN_RECIPIENT"
    PAGE_ON_HOLD = "PAGE_ON_HOLD"
    CHANGED_SINCE = "CHANGED_SINCE"


class Prediction(msgspec.Struct, frozen=True):
    """A cause, and the type of the last error of the recipients that it applies to, if they have one."""

    cause: PredictedCause
    error_type: ErrorType | None = None


def predict(
    retry_state: RetryState,
    skipped: SkipReason | None,
    *,
    outside_window: bool,
    page_is_held: bool,
    content_changed: bool = False,
) -> Prediction:
    """Return the prediction for recipients with this retry_state; `skipped` is why the resend skips them, if it does.

    A recipient with a permanent error that a person named is taken, but predicted to fail again.
    """
    reason = skipped or _why_failing_again(retry_state, content_changed=content_changed)
    if reason is None:
        cause = PredictedCause.PAGE_ON_HOLD if page_is_held else PredictedCause.RETRYABLE_NOW
    elif reason is SkipReason.PERMANENT_ERROR:
        cause = PredictedCause.OUTSIDE_WINDOW if outside_window else PredictedCause.WILL_FAIL_AGAIN
    else:
        cause = PredictedCause(reason)
    return Prediction(cause, retry_state.error_type)


def _why_failing_again(retry_state: RetryState, *, content_changed: bool) -> SkipReason | None:
    is_failed = retry_state.status is DeliveryStatus.FAILED
    return permanent_failure_reason(retry_state, content_changed=content_changed) if is_failed else None
