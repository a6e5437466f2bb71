"""Keeps a page's pace, and heeds what the platform says about it.

What a page has found out about the platform's limit lives as long as the process, beyond its worker: after a restart a
page begins slowly again, and is back within seconds.
"""

import asyncio
import time
from collections.abc import Callable

from domain.fault import ErrorType, Scope
from domain.outcome import Sent
from domain.pace import HIGH_USAGE, Pace
from server.channels.channel import Attempted

SHORTEST_WAIT = 0.002  # seconds; shorter waits add up to the next
LONGEST_STEP = 1.0  # of one wait: the pace may change meanwhile
SAME_PAUSE = 0.1  # seconds by which two replies that ask for one pause may differ


class Pacer:
    """One page's pace on this process's clock."""

    def __init__(self, limit: float, on_close: Callable[[float], None] = lambda _: None) -> None:
        self._pace = Pace(limit)
        self._on_close = on_close

    def set_limit(self, limit: float) -> None:
        """The page's own limit from now on, in messages per second."""
        self._pace.set_limit(time.monotonic(), limit)

    @property
    def rate(self) -> float:
        """Messages per second at this moment."""
        return self._pace.rate(time.monotonic())

    def chunk(self, most: int) -> int:
        """How many may be dispatched together."""
        return self._pace.chunk(time.monotonic(), most)

    def close(self, seconds: float) -> None:
        """Nothing leaves for so long."""
        self._pace.close(time.monotonic(), seconds)

    async def take(self, messages: int, halt: asyncio.Event, *, within: float = float("inf")) -> bool:
        """Waits until so many messages may leave; False after a halt, or at once when it takes longer than `within`."""
        now = time.monotonic()
        deadline = now + within
        while not halt.is_set():
            delay = self._pace.delay(now)
            if delay <= SHORTEST_WAIT:
                self._pace.spend(now, messages)
                return True
            if now + delay > deadline:
                return False
            await wait(halt, min(delay, LONGEST_STEP))
            now = time.monotonic()
        return False

    def heed(self, attempted: Attempted) -> None:
        """Slows down for rate limits of page or app, high usage and Retry-After; not for transport errors."""
        now = time.monotonic()
        advice = attempted.advice
        if _is_throttled(attempted):
            self._pace.slow_down(now)
        else:
            self._pace.take(now)
        if advice is None:
            return
        if advice.usage is not None and advice.usage >= HIGH_USAGE:
            self._pace.slow_down(now)
        if advice.retry_after is not None:
            self._heed_pause(now, advice.retry_after.total_seconds())

    def _heed_pause(self, now: float, seconds: float) -> None:
        """A pause that is longer than the one under way is told; many replies at once ask for the same one."""
        if seconds > self._pace.closed_for(now) + SAME_PAUSE:
            self._on_close(seconds)
        self._pace.close(now, seconds)


def _is_throttled(attempted: Attempted) -> bool:
    if isinstance(attempted.outcome, Sent):
        return False
    fault = attempted.outcome.fault
    return fault.type is ErrorType.RATE_LIMIT and fault.scope is not Scope.RECIPIENT


async def wait(halt: asyncio.Event, seconds: float) -> None:
    """Waits for so long, or for the halt."""
    try:
        async with asyncio.timeout(seconds):
            await halt.wait()
    except TimeoutError:
        return
