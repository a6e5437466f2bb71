"""How long after a round's end a message's next automatic round is due, where the message has a schedule of its own."""

from datetime import timedelta
from hashlib import blake2b

import msgspec

DEFAULT_MULTIPLIER = 2.0
DEFAULT_MAXIMUM = timedelta(hours=24)


class FixedInterval(msgspec.Struct, frozen=True, kw_only=True, tag="interval"):
    """The same after each round."""

    interval: timedelta


class ExponentialBackoff(msgspec.Struct, frozen=True, kw_only=True, tag="backoff"):
    """`initial` after the first round, then each time `multiplier` times as long, up to `maximum`.

    A delay is shortened by a share drawn from 0 to `jitter`, so that many messages do not come back all at once.
    """

    initial: timedelta
    multiplier: float = DEFAULT_MULTIPLIER
    maximum: timedelta = DEFAULT_MAXIMUM
    jitter: float = 0.0


RetryDelay = FixedInterval | ExponentialBackoff


def delay_after(delay: RetryDelay, retry_count: int, chance: float) -> timedelta:
    """The wait after a round, when there were so many automatic ones; `chance` is from 0 to 1."""
    if isinstance(delay, FixedInterval):
        return delay.interval
    grown = delay.initial.total_seconds() * delay.multiplier**retry_count
    return timedelta(seconds=min(grown, delay.maximum.total_seconds()) * (1.0 - delay.jitter * chance))


def chance_of(message_id: str, retry_count: int) -> float:
    """As good as drawn, from 0 to 1, and the same after a restart and in every process."""
    drawn = blake2b(f"{message_id}/{retry_count}".encode(), digest_size=8).digest()
    return int.from_bytes(drawn) / 2**64
