"""What a resend would come to for a recipient, by cause: a dry run's answer."""

from enum import StrEnum

import msgspec

from domain.delivery import DeliveryStatus
from domain.fault import ErrorType
from domain.retry import SkipReason, Standing, why_hopeless


class Cause(StrEnum):
    """Why a resend would reach somebody, or would not."""

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
    """A cause, and the type of the last error of those whom it is true of, if they have one."""

    cause: Cause
    error_type: ErrorType | None = None


def predicted(
    standing: Standing,
    skipped: SkipReason | None,
    *,
    outside_window: bool,
    page_is_held: bool,
    content_changed: bool = False,
) -> Prediction:
    """What to expect of recipients of a standing; `skipped` is why a resend does not take them, if it does not.

    Who is taken because somebody insisted will fail again all the same.
    """
    reason = skipped or _why_in_vain(standing, content_changed=content_changed)
    if reason is None:
        cause = Cause.PAGE_ON_HOLD if page_is_held else Cause.RETRYABLE_NOW
    elif reason is SkipReason.PERMANENT_ERROR:
        cause = Cause.OUTSIDE_WINDOW if outside_window else Cause.WILL_FAIL_AGAIN
    else:
        cause = Cause(reason)
    return Prediction(cause, standing.error_type)


def _why_in_vain(standing: Standing, *, content_changed: bool) -> SkipReason | None:
    is_failed = standing.state is DeliveryStatus.FAILED
    return why_hopeless(standing, content_changed=content_changed) if is_failed else None
