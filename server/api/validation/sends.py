"""The rules of a Send, whole or as a stream."""

import time
from typing import Annotated, Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from domain.retry import MAX_RETRY_ATTEMPTS
from redrive.v1.message_pb2 import OnUnconfirmed, RetryType
from server.api.validation.content import ContentRules
from server.api.validation.field_kinds import ONE_LINE, PageId, RequestId, Time, broken_rule, known, share, up_to
from server.api.validation.recipients import RecipientRules
from server.api.validation.rule_set import Rules

# The rules of a retry policy.


LONGEST_WAIT = 30 * 24 * 3_600  # seconds
AUTOMATIC = (RetryType.RETRY_TYPE_AUTO, RetryType.RETRY_TYPE_CRON)


def _seconds(span: Duration) -> float:
    return span.seconds + span.nanos / 1e9


def _in_limits(wait: Any) -> Any:
    if not 1 <= _seconds(wait) <= LONGEST_WAIT:
        raise broken_rule("must be from 1 second to 30 days")
    return wait


Wait = Annotated[Any, AfterValidator(_in_limits)]


class BackoffRules(Rules):
    """A wait that grows from round to round."""

    initial_interval: Wait
    multiplier: float = 0.0
    maximum_interval: Wait = None
    jitter: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0

    @field_validator("multiplier")
    @classmethod
    def _never_shrinks(cls, multiplier: float) -> float:
        if not 1 <= multiplier <= 10:
            raise broken_rule("must be from 1 to 10; 0 means 2")
        return multiplier

    @field_validator("maximum_interval")
    @classmethod
    def _not_below_the_first(cls, longest: Duration, given: ValidationInfo) -> Duration:
        first = given.data.get("initial_interval")
        if first is not None and _seconds(longest) < _seconds(first):
            raise broken_rule("must not be shorter than initial_interval")
        return longest


class RetryPolicyRules(Rules):
    """What happens with failures."""

    type: Annotated[int, known(RetryType.DESCRIPTOR)] = 0
    max_retry_attempts: Annotated[int, Field(ge=0, le=MAX_RETRY_ATTEMPTS)] = 0
    interval: Wait = None
    backoff: BackoffRules | None = None

    @field_validator("interval", "backoff")
    @classmethod
    def _of_automatic_rounds(cls, schedule: Any, given: ValidationInfo) -> Any:
        if "type" in given.data and given.data["type"] not in AUTOMATIC:
            raise broken_rule("must be empty, except with RETRY_TYPE_AUTO or RETRY_TYPE_CRON")
        return schedule


MOST_RECIPIENTS = 10_000
DAYS_AHEAD = 366

Recipients = Annotated[
    list[RecipientRules], Field(default=[], min_length=1, max_length=MOST_RECIPIENTS, validate_default=True)
]


def _not_too_far_ahead(scheduled: Timestamp) -> Timestamp:
    if scheduled.seconds > time.time() + DAYS_AHEAD * 86_400:
        raise broken_rule(f"must be at most {DAYS_AHEAD} days ahead")
    return scheduled


def _min_attempts(attempts: int) -> int:
    if attempts < 0:
        raise broken_rule("must be at least 1; 0 means the default, 100")
    return attempts


class StopPolicyRules(Rules):
    """When the service stops the message by itself."""

    max_failure_share: Annotated[float, AfterValidator(share)] = 0.0
    min_attempts: Annotated[int, AfterValidator(_min_attempts)] = 0


class MessageRules(Rules):
    """What is sent, but for the recipients."""

    request_id: RequestId = ""
    page_id: PageId
    title: Annotated[str, up_to(200, ONE_LINE)] = ""
    content: ContentRules
    retry_policy: RetryPolicyRules | None = None
    on_unconfirmed: Annotated[int, known(OnUnconfirmed.DESCRIPTOR)] = 0
    schedule_time: Annotated[Time, AfterValidator(_not_too_far_ahead)] = None
    stop_policy: StopPolicyRules | None = None


class SendRules(MessageRules):
    """A SendRequest of its own."""

    recipients: Recipients


def _empty(recipients: Any) -> Any:
    if recipients:
        raise broken_rule("must be empty in a header: recipients come in the parts that follow")
    return recipients


class StreamHeaderRules(MessageRules):
    """The SendRequest that begins a stream."""

    recipients: Annotated[Any, AfterValidator(_empty)] = None


class StreamPartRules(Rules):
    """The recipients in one part of a stream."""

    recipients: Recipients
