"""Keeps a page's pace, and heeds what the platform says about it."""

import asyncio
import time

import structlog

from domain.fault import ErrorType, Scope
from domain.outcome import Sent
from domain.pace import HIGH_USAGE, Pace
from server.channels.channel import Attempted

logger = structlog.get_logger()

SHORTEST_WAIT = 0.002  # seconds; shorter waits add up to the next
LONGEST_STEP = 1.0  # of one wait: the pace may change meanwhile


class Pacer:
    """One page's pace on this process's clock."""

    def __init__(self, limit: float) -> None:
        self._pace = Pace(limit)

    def set_limit(self, limit: float) -> None:
        """The page's own limit from now on, in messages per second."""
        self._pace.set_limit(time.monotonic(), limit)

    def chunk(self, most: int) -> int:
        """How many may be dispatched together."""
        return self._pace.chunk(time.monotonic(), most)

    @property
    def is_closed(self) -> bool:
        """The platform asked for a pause that is not over."""
        return self._pace.closed_for(time.monotonic()) > 0

    async def take(self, messages: int, halt: asyncio.Event, *, within: float = float("inf")) -> bool:
        """Waits until so many messages may leave; False after a halt, or at once when it takes longer than `within`."""
        deadline = time.monotonic() + within
        while not halt.is_set():
            now = time.monotonic()
            delay = self._pace.delay(now)
            if delay <= SHORTEST_WAIT:
                self._pace.spend(now, messages)
                return True
            if now + delay > deadline:
                return False
            await wait(halt, min(delay, LONGEST_STEP))
        return False

    def heed(self, attempted: Attempted) -> None:
        """Slows down for rate limits of page or app, high usage and Retry-After; not for transport errors."""
        now = time.monotonic()
        advice = attempted.advice
        if advice is not None and advice.retry_after is not None:
            if not self.is_closed:
                logger.info("page_paused", seconds=advice.retry_after.total_seconds())
            self._pace.close(now, advice.retry_after.total_seconds())
        if _is_throttled(attempted) or (advice is not None and (advice.usage or 0.0) >= HIGH_USAGE):
            self._pace.slow_down(now)


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
