"""The delay between a round's end and the next automatic round, for messages with their own schedule."""

from datetime import timedelta
from hashlib import blake2b

import msgspec

DEFAULT_MULTIPLIER = 2.0
DEFAULT_MAXIMUM = timedelta(hours=24)


class FixedInterval(msgspec.Struct, frozen=True, kw_only=True, tag="interval"):
    """The same delay after each round."""

    interval: timedelta


class ExponentialBackoff(msgspec.Struct, frozen=True, kw_only=True, tag="backoff"):
    """A delay of `initial` after the first round that grows by `multiplier` with each round, up to `maximum`.

    Each delay is shortened by a random share from 0 to `jitter`, so that many messages are not retried at once.
    """

    initial: timedelta
    multiplier: float = DEFAULT_MULTIPLIER
    maximum: timedelta = DEFAULT_MAXIMUM
    jitter: float = 0.0


RetryDelay = FixedInterval | ExponentialBackoff


def delay_after(delay: RetryDelay, retry_count: int, chance: float) -> timedelta:
    """Return the delay after this number of automatic rounds; `chance`, from 0 to 1, is the share of the jitter."""
    if isinstance(delay, FixedInterval):
        return delay.interval
    grown = delay.initial.total_seconds() * delay.multiplier**retry_count
    return timedelta(seconds=min(grown, delay.maximum.total_seconds()) * (1.0 - delay.jitter * chance))


def jitter_chance(message_id: str, retry_count: int) -> float:
    """Return a pseudo-random number from 0 to 1 that is the same in every process and after a restart."""
    digest = blake2b(f"{message_id}/{retry_count}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
