"""Mapping of retry policies."""

from datetime import timedelta

from domain.retry import DEFAULT_MAX_RETRY_ATTEMPTS, RetryPolicy, RetryType
from domain.retry_delay import DEFAULT_MAXIMUM, DEFAULT_MULTIPLIER, ExponentialBackoff, FixedInterval, RetryDelay
from redrive.v1 import message_pb2
from server.api.mapping.enums import RETRY_TYPES
from server.api.mapping.times import duration


def retry_policy(given: message_pb2.RetryPolicy) -> RetryPolicy:
    """Return the policy of a valid request, with defaults."""
    return RetryPolicy(
        type=RetryType(RETRY_TYPES.name(given.type, RetryType.MANUAL)),
        max_retry_attempts=given.max_retry_attempts or DEFAULT_MAX_RETRY_ATTEMPTS,
        delay=_delay(given),
    )


def _delay(given: message_pb2.RetryPolicy) -> RetryDelay | None:
    if given.HasField("interval"):
        return FixedInterval(interval=given.interval.ToTimedelta())
    return _backoff(given.backoff) if given.HasField("backoff") else None


def _backoff(given: message_pb2.ExponentialBackoff) -> ExponentialBackoff:
    initial: timedelta = given.initial_interval.ToTimedelta()
    maximum = given.maximum_interval.ToTimedelta() if given.HasField("maximum_interval") else DEFAULT_MAXIMUM
    return ExponentialBackoff(
        initial=initial,
        multiplier=given.multiplier or DEFAULT_MULTIPLIER,
        maximum=max(initial, maximum),
        jitter=given.jitter,
    )


def policy_message(policy: RetryPolicy) -> message_pb2.RetryPolicy:
    """Return a policy as a message of the contract."""
    message = message_pb2.RetryPolicy(
        type=RETRY_TYPES.number(policy.type), max_retry_attempts=policy.max_retry_attempts
    )
    match policy.delay:
        case FixedInterval(interval=interval):
            message.interval.FromTimedelta(interval)
        case ExponentialBackoff() as backoff:
            message.backoff.CopyFrom(_backoff_message(backoff))
    return message


def _backoff_message(backoff: ExponentialBackoff) -> message_pb2.ExponentialBackoff:
    return message_pb2.ExponentialBackoff(
        initial_interval=duration(backoff.initial),
        multiplier=backoff.multiplier,
        maximum_interval=duration(backoff.maximum),
        jitter=backoff.jitter,
    )
