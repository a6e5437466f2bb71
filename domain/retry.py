"""Retries: the policy, what a resend selects, and whether it takes a recipient."""

from datetime import datetime
from enum import StrEnum

import msgspec

from domain.delivery import DeliveryStatus
from domain.fault import ErrorType, RetryRule
from domain.retry_delay import RetryDelay, delay_after, jitter_chance

DEFAULT_MAX_RETRY_ATTEMPTS = 3
MAX_RETRY_ATTEMPTS = 10


class RetryType(StrEnum):
    """Who starts the retry rounds of a message: a person, the end of a round (AUTO), or the retry timer (CRON)."""

    MANUAL = "MANUAL"
    AUTO = "AUTO"
    CRON = "CRON"


class RetryTrigger(StrEnum):
    """What started one resend round."""

    MANUAL = "MANUAL"
    AUTO = "AUTO"
    CRON = "CRON"


class OnUnconfirmed(StrEnum):
    """What automatic rounds do with unconfirmed deliveries."""

    HOLD = "HOLD"
    RESEND = "RESEND"


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When and how often failed deliveries are retried; `max_retry_attempts` counts retries after the first attempt.

    Without a `delay` an AUTO round starts at once, and a CRON round at the next run of the server's retry timer.
    """

    type: RetryType = RetryType.MANUAL
    max_retry_attempts: int = DEFAULT_MAX_RETRY_ATTEMPTS
    delay: RetryDelay | None = None

    @property
    def max_attempts(self) -> int:
        """The attempts that one recipient may have, including the first."""
        return 1 + self.max_retry_attempts

    def has_rounds_left(self, retry_count: int) -> bool:
        """Return whether another automatic round is allowed after this number of them."""
        return self.type is not RetryType.MANUAL and retry_count < self.max_retry_attempts

    def next_round(self, message_id: str, retry_count: int, ended: datetime) -> datetime | None:
        """Return when the next round is due by the message's own schedule; None if it has none, or no rounds left."""
        if self.delay is None or not self.has_rounds_left(retry_count):
            return None
        return ended + delay_after(self.delay, retry_count, jitter_chance(message_id, retry_count))


class RetrySelection(msgspec.Struct, frozen=True, kw_only=True):
    """Which recipients a resend round selects.

    - `recipients_named`: the resend names recipients; the round's batches hold their ids.
    - `as_of_sequence`: recipients that changed after this position of the log are skipped; 0 for none.
    - `content_changed`: the round has a corrected content.
    - `from_batch`: an automatic round takes only recipients with an attempt in this batch or a later one; 0 for all
      (domain.automatic_rounds has the rules).
    """

    recipients_named: bool = False
    error_types: tuple[ErrorType, ...] = ()
    include_unconfirmed: bool = False
    as_of_sequence: int = 0
    content_changed: bool = False
    from_batch: int = 0

    @property
    def is_explicit(self) -> bool:
        """Whether a person named recipients or error types; such a resend also takes permanent errors."""
        return self.recipients_named or bool(self.error_types)


DEFAULT_SELECTION = RetrySelection()


class SkipReason(StrEnum):
    """Why a resend does not take a recipient."""

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


class RetryState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides whether a resend takes a recipient; recipients with equal values get the same answer.

    - `attempts_exhausted`: the recipient has had the maximum number of attempts.
    - `maybe_sent`: the last attempt or an earlier one may have arrived.
    - `token_replaced`: the page has had a new token since the last attempt.
    """

    status: DeliveryStatus
    attempts_exhausted: bool
    error_type: ErrorType | None = None
    retry: RetryRule | None = None
    maybe_sent: bool = False
    token_replaced: bool = False


_SKIPPED_STATUSES = {
    DeliveryStatus.SENT: SkipReason.ALREADY_SENT,
    DeliveryStatus.PENDING: SkipReason.IN_PROGRESS,
    DeliveryStatus.SENDING: SkipReason.IN_PROGRESS,
    DeliveryStatus.CANCELLED: SkipReason.CANCELLED,
}


def skip_reason(retry_state: RetryState, selection: RetrySelection, on_unconfirmed: OnUnconfirmed) -> SkipReason | None:
    """Return why a resend skips such a recipient; None if it takes it."""
    if retry_state.status in _SKIPPED_STATUSES:
        return _SKIPPED_STATUSES[retry_state.status]
    if selection.error_types and retry_state.error_type not in selection.error_types:
        return SkipReason.OTHER_ERROR_TYPE
    if retry_state.attempts_exhausted:
        return SkipReason.ATTEMPTS_USED_UP
    takes_unconfirmed = selection.include_unconfirmed or on_unconfirmed is OnUnconfirmed.RESEND
    if retry_state.maybe_sent and not takes_unconfirmed:
        return SkipReason.UNCONFIRMED
    if retry_state.status is DeliveryStatus.UNCONFIRMED:
        return None
    if selection.is_explicit:
        return None
    return permanent_failure_reason(retry_state, content_changed=selection.content_changed)


def permanent_failure_reason(retry_state: RetryState, *, content_changed: bool = False) -> SkipReason | None:
    """Return why another attempt would fail in the same way; None if it can succeed.

    With a corrected content an error of type OTHER may disappear, because errors about a content have that type.
    """
    if content_changed and retry_state.error_type is ErrorType.OTHER:
        return None
    if retry_state.retry is RetryRule.NEW_TOKEN:
        return None if retry_state.token_replaced else SkipReason.TOKEN_NOT_REPLACED
    return None if retry_state.retry is RetryRule.AUTOMATIC else SkipReason.PERMANENT_ERROR
