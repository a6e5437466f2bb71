"""When `redrive send` lets failures be resent: its options, and a policy in words."""

from datetime import timedelta
from typing import Annotated

import typer

from redrive.cli.time_options import span_option
from redrive.cli.words import word
from redrive.v1.message_pb2 import ExponentialBackoff, RetryPolicy, RetryType

Interval = Annotated[timedelta | None, span_option("--retry-interval", text="The wait before each automatic round.")]
Backoff = Annotated[
    timedelta | None, span_option("--retry-backoff", text="The wait before the first automatic round; then it grows.")
]
Multiplier = Annotated[
    float | None, typer.Option("--retry-multiplier", help="By which a backoff grows each time; 2 if not given.")
]
Maximum = Annotated[timedelta | None, span_option("--retry-maximum", text="A backoff's longest wait; else 24 hours.")]
Jitter = Annotated[
    float | None, typer.Option("--retry-jitter", help="0 to 1: a backoff's waits are shortened by up to this share.")
]


def with_schedule(
    policy: RetryPolicy, interval: timedelta | None, first: timedelta | None, growth: ExponentialBackoff
) -> RetryPolicy:
    """The policy with what the options say of its schedule; raises BadParameter for some that do not go together."""
    if interval is not None and first is not None:
        raise typer.BadParameter("Give --retry-interval or --retry-backoff, not both.")
    if first is None and growth != ExponentialBackoff():
        raise typer.BadParameter("--retry-multiplier, --retry-maximum and --retry-jitter go with --retry-backoff.")
    if interval is not None:
        policy.interval.FromTimedelta(interval)
    if first is not None:
        growth.initial_interval.FromTimedelta(first)
        policy.backoff.CopyFrom(growth)
    return policy


def growth(multiplier: float | None, longest: timedelta | None, jitter: float | None) -> ExponentialBackoff:
    """How a backoff grows; empty where nothing says so."""
    said = ExponentialBackoff(multiplier=multiplier or 0.0, jitter=jitter or 0.0)
    if longest is not None:
        said.maximum_interval.FromTimedelta(longest)
    return said


def policy_in_words(policy: RetryPolicy) -> str:
    """Who retries, how often, and when."""
    words = f"{word(RetryType, policy.type)}, at most {policy.max_retry_attempts}"
    if policy.HasField("interval"):
        return f"{words}, {policy.interval.ToTimedelta()} after each round"
    if policy.HasField("backoff"):
        first, longest = policy.backoff.initial_interval.ToTimedelta(), policy.backoff.maximum_interval.ToTimedelta()
        return f"{words}, after {first}, then each time {policy.backoff.multiplier:g} times as long, up to {longest}"
    return words
