"""Who may be tried again: the policy, what a resend selects, and the verdict on each recipient."""

from datetime import datetime
from enum import StrEnum

import msgspec

from domain.delivery import DeliveryStatus
from domain.fault import ErrorType, RetryRule
from domain.retry_delay import RetryDelay, chance_of, delay_after

DEFAULT_MAX_RETRY_ATTEMPTS = 3
MAX_RETRY_ATTEMPTS = 10


class RetryType(StrEnum):
    """Who starts a resend."""

    MANUAL = "MANUAL"
    AUTO = "AUTO"
    CRON = "CRON"


class RetryTrigger(StrEnum):
    """What started one round."""

    MANUAL = "MANUAL"
    AUTO = "AUTO"
    CRON = "CRON"


class OnUnconfirmed(StrEnum):
    """What becomes of deliveries that may have arrived."""

    HOLD = "HOLD"
    RESEND = "RESEND"


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """`max_retry_attempts` counts retries after the first attempt.

    Without a `delay` AUTO starts its rounds at once, and CRON by the server's timetable.
    """

    type: RetryType = RetryType.MANUAL
    max_retry_attempts: int = DEFAULT_MAX_RETRY_ATTEMPTS
    delay: RetryDelay | None = None

    @property
    def max_attempts(self) -> int:
        """Attempts that one recipient may have, the first included."""
        return 1 + self.max_retry_attempts

    def has_rounds_left(self, retry_count: int) -> bool:
        """After so many automatic rounds there may be another."""
        return self.type is not RetryType.MANUAL and retry_count < self.max_retry_attempts

    def next_round(self, message_id: str, retry_count: int, ended: datetime) -> datetime | None:
        """When the next round is due by the message's own schedule, after one that ended; None when it has none."""
        if self.delay is None or not self.has_rounds_left(retry_count):
            return None
        return ended + delay_after(self.delay, retry_count, chance_of(message_id, retry_count))


class RetrySelection(msgspec.Struct, frozen=True, kw_only=True):
    """What a resend asks for. `recipients_named` tells that recipients were named; who they were, its batches tell.

    With `as_of_sequence` nobody is taken who has changed since that position of the log; 0 stands for none.
    `content_changed` says that the round brings a corrected content.
    `from_batch` is set on automatic rounds only: they take recipients with an attempt in this batch or a later one, 0
    for all recipients (domain.automatic_rounds has the rule).
    """

    recipients_named: bool = False
    error_types: tuple[ErrorType, ...] = ()
    include_unconfirmed: bool = False
    as_of_sequence: int = 0
    content_changed: bool = False
    from_batch: int = 0

    @property
    def names_something(self) -> bool:
        """Naming takes permanent errors too: a person insists."""
        return self.recipients_named or bool(self.error_types)


PLAIN = RetrySelection()


class SkipReason(StrEnum):
    """Why a recipient is not taken."""

    ALREADY_SENT = "ALREADY_SENT"
    IN_PROGRESS = "IN_PROGRESS"
    ATTEMPTS_USED_UP = "ATTEMPTS_USED_UP"
    PERMANENT_ERROR = "PERMANENT_ERROR"
    UNCONFIRMED = "UNCONFIRMED"
    OTHER_ERROR_TYPE = "OTHER_ERROR_TYPE"
    UNKNOWN_RECIPIENT = "UNKNOWN_RECIPIENT"
    CANCELLED = "CANCELLED"
    TOKEN_NOT_REPLACED = "TOKEN_NOT_REPLACED"  # noqa: S105 - the name of a reason, not a secret
    CHANGED_SINCE = "CHANGED_SINCE"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """All that the verdict on a recipient depends on; recipients of equal standing are judged alike.

    `maybe_sent`: some attempt may have arrived, the last or one before. `token_replaced`: the page has had another
    token since the last attempt.
    """

    state: DeliveryStatus
    used_up: bool
    error_type: ErrorType | None = None
    retry: RetryRule | None = None
    maybe_sent: bool = False
    token_replaced: bool = False


_CLOSED = {
    DeliveryStatus.SENT: SkipReason.ALREADY_SENT,
    DeliveryStatus.PENDING: SkipReason.IN_PROGRESS,
    DeliveryStatus.SENDING: SkipReason.IN_PROGRESS,
    DeliveryStatus.CANCELLED: SkipReason.CANCELLED,
}


def verdict(standing: Standing, selection: RetrySelection, on_unconfirmed: OnUnconfirmed) -> SkipReason | None:
    """Why a resend skips such a recipient; None when it takes it."""
    if standing.state in _CLOSED:
        return _CLOSED[standing.state]
    if selection.error_types and standing.error_type not in selection.error_types:
        return SkipReason.OTHER_ERROR_TYPE
    if standing.used_up:
        return SkipReason.ATTEMPTS_USED_UP
    asked_for = selection.include_unconfirmed or on_unconfirmed is OnUnconfirmed.RESEND
    if standing.maybe_sent and not asked_for:
        return SkipReason.UNCONFIRMED
    if standing.state is DeliveryStatus.UNCONFIRMED:
        return None
    return None if selection.names_something else why_hopeless(standing, content_changed=selection.content_changed)


def why_hopeless(standing: Standing, *, content_changed: bool = False) -> SkipReason | None:
    """Why another attempt would fail the same way, if it would.

    With a corrected content an error of type OTHER may pass: the platform's words about a content are of that type.
    """
    if content_changed and standing.error_type is ErrorType.OTHER:
        return None
    if standing.retry is RetryRule.NEW_TOKEN:
        return None if standing.token_replaced else SkipReason.TOKEN_NOT_REPLACED
    return None if standing.retry is RetryRule.AUTOMATIC else SkipReason.PERMANENT_ERROR
