"""The retry options of `redrive send`, and the text of a retry policy."""

from datetime import timedelta
from typing import Annotated

import typer

from redrive.cli.enums import enum_name
from redrive.cli.time_options import duration_option
from redrive.v1.message_pb2 import ExponentialBackoff, RetryPolicy, RetryType

Interval = Annotated[
    timedelta | None, duration_option("--retry-interval", text="The wait before each automatic round.")
]
Backoff = Annotated[
    timedelta | None,
    duration_option("--retry-backoff", text="The wait before the first automatic round; it grows each time."),
]
Multiplier = Annotated[
    float | None, typer.Option("--retry-multiplier", help="The factor by which a backoff grows; 2 by default.")
]
Maximum = Annotated[
    timedelta | None, duration_option("--retry-maximum", text="The longest wait of a backoff; 24 hours by default.")
]
Jitter = Annotated[
    float | None, typer.Option("--retry-jitter", help="0 to 1: the share by which waits are shortened at random.")
]


def with_schedule(
    policy: RetryPolicy, interval: timedelta | None, first: timedelta | None, backoff_growth: ExponentialBackoff
) -> RetryPolicy:
    """Return the policy with the schedule of the options. Raises BadParameter if they contradict each other."""
    if interval is not None and first is not None:
        raise typer.BadParameter("Give --retry-interval or --retry-backoff, not both.")
    if first is None and backoff_growth != ExponentialBackoff():
        raise typer.BadParameter("--retry-multiplier, --retry-maximum and --retry-jitter require --retry-backoff.")
    if interval is not None:
        policy.interval.FromTimedelta(interval)
    if first is not None:
        backoff_growth.initial_interval.FromTimedelta(first)
        policy.backoff.CopyFrom(backoff_growth)
    return policy


def backoff_growth(multiplier: float | None, longest: timedelta | None, jitter: float | None) -> ExponentialBackoff:
    """Return how a backoff grows; empty if no option says so."""
    given = ExponentialBackoff(multiplier=multiplier or 0.0, jitter=jitter or 0.0)
    if longest is not None:
        given.maximum_interval.FromTimedelta(longest)
    return given


def policy_text(policy: RetryPolicy) -> str:
    """Return the type, the limit and the schedule of a policy."""
    text = f"{enum_name(RetryType, policy.type)}, at most {policy.max_retry_attempts}"
    if policy.HasField("interval"):
        return f"{text}, {policy.interval.ToTimedelta()} after each round"
    if policy.HasField("backoff"):
        first, longest = policy.backoff.initial_interval.ToTimedelta(), policy.backoff.maximum_interval.ToTimedelta()
        return f"{text}, after {first}, then {policy.backoff.multiplier:g} times as long each time, up to {longest}"
    return text
