"""Rules of Send and SendStream."""

import time
from typing import Annotated, Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from domain.retry import MAX_RETRY_ATTEMPTS
from redrive.v1.message_pb2 import OnUnconfirmed, RetryType
from server.api.validation.content import ContentRules
from server.api.validation.field_types import (
    ONE_LINE,
    PageId,
    RequestId,
    Time,
    enum_value,
    rule_error,
    share,
    text_up_to,
)
from server.api.validation.recipients import RecipientRules
from server.api.validation.rule_set import Rules

MAX_INTERVAL_SECONDS = 30 * 24 * 3_600
MAX_RECIPIENTS = 10_000
MAX_DAYS_AHEAD = 366
AUTOMATIC = (RetryType.RETRY_TYPE_AUTO, RetryType.RETRY_TYPE_CRON)

Recipients = Annotated[
    list[RecipientRules], Field(default=[], min_length=1, max_length=MAX_RECIPIENTS, validate_default=True)
]


def _seconds(span: Duration) -> float:
    return span.seconds + span.nanos / 1e9


def _interval(interval: Any) -> Any:
    if not 1 <= _seconds(interval) <= MAX_INTERVAL_SECONDS:
        raise rule_error("must be from 1 second to 30 days")
    return interval


Interval = Annotated[Any, AfterValidator(_interval)]


class BackoffRules(Rules):
    """An interval that grows from round to round."""

    initial_interval: Interval
    multiplier: float = 0.0
    maximum_interval: Interval = None
    jitter: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0

    @field_validator("multiplier")
    @classmethod
    def _multiplier(cls, multiplier: float) -> float:
        if not 1 <= multiplier <= 10:
            raise rule_error("must be from 1 to 10; 0 means 2")
        return multiplier

    @field_validator("maximum_interval")
    @classmethod
    def _not_below_initial(cls, maximum: Duration, given: ValidationInfo) -> Duration:
        initial = given.data.get("initial_interval")
        if initial is not None and _seconds(maximum) < _seconds(initial):
            raise rule_error("must not be shorter than initial_interval")
        return maximum


class RetryPolicyRules(Rules):
    """How failed recipients are resent."""

    type: Annotated[int, enum_value(RetryType.DESCRIPTOR)] = 0
    max_retry_attempts: Annotated[int, Field(ge=0, le=MAX_RETRY_ATTEMPTS)] = 0
    interval: Interval = None
    backoff: BackoffRules | None = None

    @field_validator("interval", "backoff")
    @classmethod
    def _only_for_automatic_rounds(cls, schedule: Any, given: ValidationInfo) -> Any:
        if "type" in given.data and given.data["type"] not in AUTOMATIC:
            raise rule_error("must be empty, except with RETRY_TYPE_AUTO or RETRY_TYPE_CRON")
        return schedule


def _not_too_far_ahead(scheduled: Timestamp) -> Timestamp:
    if scheduled.seconds > time.time() + MAX_DAYS_AHEAD * 86_400:
        raise rule_error(f"must be at most {MAX_DAYS_AHEAD} days ahead")
    return scheduled


def _min_attempts(attempts: int) -> int:
    if attempts < 0:
        raise rule_error("must be at least 1; 0 means the default, 100")
    return attempts


class StopPolicyRules(Rules):
    """When the service stops a message."""

    max_failure_share: Annotated[float, AfterValidator(share)] = 0.0
    min_attempts: Annotated[int, AfterValidator(_min_attempts)] = 0


class MessageRules(Rules):
    """A SendRequest without its recipients."""

    request_id: RequestId = ""
    page_id: PageId
    title: Annotated[str, text_up_to(200, ONE_LINE)] = ""
    content: ContentRules
    retry_policy: RetryPolicyRules | None = None
    on_unconfirmed: Annotated[int, enum_value(OnUnconfirmed.DESCRIPTOR)] = 0
    schedule_time: Annotated[Time, AfterValidator(_not_too_far_ahead)] = None
    stop_policy: StopPolicyRules | None = None


class SendRules(MessageRules):
    """A whole SendRequest."""

    recipients: Recipients


def _no_recipients(recipients: Any) -> Any:
    if recipients:
        raise rule_error("must be empty in a header: the parts after it hold the recipients")
    return recipients


class StreamHeaderRules(MessageRules):
    """The SendRequest in the first part of a stream."""

    recipients: Annotated[Any, AfterValidator(_no_recipients)] = None


class StreamPartRules(Rules):
    """The recipients in one part of a stream."""

    recipients: Recipients
