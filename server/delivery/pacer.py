"""Keeps a page's pace, and heeds what the platform says about it."""

import asyncio
import time

from domain.fault import ErrorType, Scope
from domain.outcome import Sent
from domain.pace import HIGH_USAGE, Pace
from server.channels.channel import Attempted

SHORTEST_WAIT = 0.002  # seconds; shorter waits add up to the next


class Pacer:
    """One page's pace on this process's clock."""

    def __init__(self, limit: float) -> None:
        self._pace = Pace(limit)

    def set_limit(self, limit: float) -> None:
        """The page's own limit from now on, in messages per second."""
        self._pace.limit = limit

    def chunk(self, most: int) -> int:
        """How many may be dispatched together."""
        return self._pace.chunk(time.monotonic(), most)

    @property
    def is_closed(self) -> bool:
        """The platform asked for a pause that is not over."""
        return self._pace.closed_for(time.monotonic()) > 0

    async def open(self, halt: asyncio.Event) -> None:
        """Waits until a Retry-After is over, or for the halt."""
        while (seconds := self._pace.closed_for(time.monotonic())) and not halt.is_set():
            await _wait(halt, seconds)

    async def take(self, messages: int, halt: asyncio.Event) -> None:
        """Waits for the slots of so many messages, or for the halt."""
        seconds = self._pace.reserve(time.monotonic(), messages)
        if seconds > SHORTEST_WAIT:
            await _wait(halt, seconds)
        await self.open(halt)

    def heed(self, attempted: Attempted) -> None:
        """Slows down for rate limits of page or app, high usage and Retry-After; not for transport errors."""
        now = time.monotonic()
        advice = attempted.advice
        if advice is not None and advice.retry_after is not None:
            self._pace.close(now, advice.retry_after.total_seconds())
        if _is_throttled(attempted) or (advice is not None and (advice.usage or 0.0) >= HIGH_USAGE):
            self._pace.slow_down(now)


def _is_throttled(attempted: Attempted) -> bool:
    if isinstance(attempted.outcome, Sent):
        return False
    fault = attempted.outcome.fault
    return fault.type is ErrorType.RATE_LIMIT and fault.scope is not Scope.RECIPIENT


async def _wait(halt: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await halt.wait()
    except TimeoutError:
        return
