"""The rules of a retry policy."""

from typing import Annotated, Any

from google.protobuf.duration_pb2 import Duration
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from domain.retry import MAX_RETRY_ATTEMPTS
from redrive.v1.message_pb2 import RetryType
from server.api.rules.broken_rule import broken_rule
from server.api.rules.field_kinds import known
from server.api.rules.rule_set import Rules

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
