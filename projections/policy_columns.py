"""Retry policies, stop policies and stops as columns of the messages table."""

from functools import lru_cache

import msgspec

from domain.retry import RetryPolicy, RetryType
from domain.retry_delay import RetryDelay
from domain.stop_policy import Stop, StopPolicy
from projections.sql import Row


def delay_column(delay: RetryDelay | None) -> str:
    """Return the column for a message's own schedule; empty if it has none."""
    return msgspec.json.encode(delay).decode() if delay is not None else ""


def policy_of(row: Row) -> RetryPolicy:
    """Return the retry policy in a row."""
    return _policy(row["retry_type"], row["max_retry_attempts"], row["retry_delay"])


@lru_cache(maxsize=1_000)
def _policy(retry_type: str, max_retry_attempts: int, delay: str) -> RetryPolicy:
    """Return the policy for these columns; cached, because thousands of messages have the same few policies."""
    return RetryPolicy(
        type=RetryType(retry_type),
        max_retry_attempts=max_retry_attempts,
        delay=msgspec.json.decode(delay, type=RetryDelay) if delay else None,
    )


def stop_policy_column(policy: StopPolicy) -> str:
    """Return the column for a stop policy; empty for the default."""
    return "" if policy == StopPolicy() else msgspec.json.encode(policy).decode()


def stop_policy_of(column: str) -> StopPolicy:
    """Return the stop policy in a column."""
    return msgspec.json.decode(column, type=StopPolicy) if column else StopPolicy()


def stop_column(stop: Stop) -> str:
    """Return the column for a stop."""
    return msgspec.json.encode(stop).decode()


def stop_of(column: str) -> Stop | None:
    """Return the stop in a column; None if it is empty."""
    return msgspec.json.decode(column, type=Stop) if column else None
