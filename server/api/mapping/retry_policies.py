"""Retry policies, in and out."""

from datetime import timedelta

from domain.retry import DEFAULT_MAX_RETRY_ATTEMPTS, RetryPolicy, RetryType
from domain.retry_delay import DEFAULT_MAXIMUM, DEFAULT_MULTIPLIER, ExponentialBackoff, FixedInterval, RetryDelay
from redrive.v1 import message_pb2
from server.api.mapping.enums import RETRY_TYPES
from server.api.mapping.times import duration


def retry_policy(given: message_pb2.RetryPolicy) -> RetryPolicy:
    """A policy that was checked, with its defaults."""
    return RetryPolicy(
        type=RetryType(RETRY_TYPES.word(given.type, RetryType.MANUAL)),
        max_retry_attempts=given.max_retry_attempts or DEFAULT_MAX_RETRY_ATTEMPTS,
        delay=_delay(given),
    )


def _delay(given: message_pb2.RetryPolicy) -> RetryDelay | None:
    if given.HasField("interval"):
        return FixedInterval(interval=given.interval.ToTimedelta())
    return _backoff(given.backoff) if given.HasField("backoff") else None


def _backoff(given: message_pb2.ExponentialBackoff) -> ExponentialBackoff:
    initial: timedelta = given.initial_interval.ToTimedelta()
    longest = given.maximum_interval.ToTimedelta() if given.HasField("maximum_interval") else DEFAULT_MAXIMUM
    return ExponentialBackoff(
        initial=initial,
        multiplier=given.multiplier or DEFAULT_MULTIPLIER,
        maximum=max(initial, longest),
        jitter=given.jitter,
    )


def policy_shown(policy: RetryPolicy) -> message_pb2.RetryPolicy:
    """A policy as the contract shows it."""
    shown = message_pb2.RetryPolicy(type=RETRY_TYPES.number(policy.type), max_retry_attempts=policy.max_retry_attempts)
    match policy.delay:
        case FixedInterval(interval=interval):
            shown.interval.FromTimedelta(interval)
        case ExponentialBackoff() as backoff:
            shown.backoff.CopyFrom(_backoff_shown(backoff))
    return shown


def _backoff_shown(backoff: ExponentialBackoff) -> message_pb2.ExponentialBackoff:
    return message_pb2.ExponentialBackoff(
        initial_interval=duration(backoff.initial),
        multiplier=backoff.multiplier,
        maximum_interval=duration(backoff.maximum),
        jitter=backoff.jitter,
    )
