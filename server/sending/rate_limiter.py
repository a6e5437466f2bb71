"""Limits the messages per second of one page, and adapts the rate to the platform's responses.

The limiter outlives the page's worker, but not the process. After a restart a page starts slowly, and reaches its rate
again within seconds.
"""

import asyncio
import time
from collections.abc import Callable

from domain.adaptive_rate import HIGH_USAGE, AdaptiveRate
from domain.fault import ErrorType, Fault, FaultScope
from domain.outcome import Sent
from server.cluster.page_leases import PagePause
from server.messenger.channel import SendResult

SHORTEST_WAIT = 0.002  # seconds; a shorter wait is added to the next one
MAX_WAIT_STEP = 1.0  # seconds of one wait: the rate may change during it
SAME_PAUSE = 0.1  # seconds by which two responses that ask for the same pause may differ
SHORTEST_SHOWN = 2.0  # seconds; a shorter pause that the platform did not request counts as a lower rate
FIRST_SHORTAGE_SECONDS = 0.5  # pause after a local shortage; doubles with each in a row, up to the longest
LONGEST_SHORTAGE_SECONDS = 30.0


class AdaptiveRateLimiter:
    """The rate limit of one page on this process's clock; `on_pause` is called with each new pause."""

    def __init__(self, limit: float, on_pause: Callable[[PagePause], None] = lambda _: None) -> None:
        self._rate = AdaptiveRate(limit)
        self._on_pause = on_pause
        self._resumed_at = float("-inf")
        self._waits: set[asyncio.Timeout] = set()
        self._shortages = 0  # in a row
        self._shortage_until = 0.0

    def set_limit(self, limit: float) -> None:
        """Set the page's own limit in messages per second; it also applies to callers that wait now."""
        self._rate.set_limit(time.monotonic(), limit)
        self._end_waits()

    def _end_waits(self) -> None:
        """Let all callers that wait check the rate again."""
        now = asyncio.get_running_loop().time() if self._waits else 0.0
        for timeout in self._waits:
            if not timeout.expired():  # an expired one ends by itself just now
                timeout.reschedule(now)

    @property
    def rate(self) -> float:
        """Return the messages per second at this moment."""
        return self._rate.rate(time.monotonic())

    def chunk_size(self, most: int) -> int:
        """Return how many deliveries to dispatch together, at most so many."""
        return self._rate.chunk_size(time.monotonic(), most)

    def pause_for(self, seconds: float, *, read_at: float = float("inf")) -> None:
        """Let no message leave for so many seconds.

        A pause that was read from the database (at `read_at`, monotonic) before the last `resume` has no effect.
        """
        if read_at > self._resumed_at:
            self._rate.pause(time.monotonic(), seconds)

    def resume(self) -> None:
        """End the current pause; a later response may start another."""
        self._resumed_at = time.monotonic()
        self._rate.end_pause(self._resumed_at)
        self._end_waits()

    def pause_after_shortage(self) -> float:
        """Let no message leave for a while because this machine lacks a resource to send, longer each time in a row.

        Return the seconds; 0 for a request that met the same shortage as another one.
        """
        now = time.monotonic()
        if now < self._shortage_until:
            return 0.0
        seconds = min(LONGEST_SHORTAGE_SECONDS, FIRST_SHORTAGE_SECONDS * 2.0 ** min(self._shortages, 10))
        self._shortages += 1
        self._shortage_until = now + seconds
        self._rate.pause(now, seconds)
        return seconds

    async def acquire(self, messages: int, halt: asyncio.Event, *, within: float = float("inf")) -> bool:
        """Wait until so many messages may leave, and count them.

        Return False after a halt, or at once if the wait would take longer than `within` seconds.
        """
        now = time.monotonic()
        deadline = now + within
        while not halt.is_set():
            delay = self._rate.delay(now)
            if delay <= SHORTEST_WAIT:
                self._rate.record_sent(now, messages)
                return True
            if now + delay > deadline:
                return False
            await self._wait(halt, min(delay, MAX_WAIT_STEP))
            now = time.monotonic()
        return False

    async def _wait(self, halt: asyncio.Event, seconds: float) -> None:
        """Wait for so many seconds, for the halt, or for another rate."""
        try:
            async with asyncio.timeout(seconds) as timeout:
                self._waits.add(timeout)
                await halt.wait()
        except TimeoutError:
            return
        finally:
            self._waits.discard(timeout)

    def observe_result(self, result: SendResult) -> None:
        """Lower the rate after a rate limit of page or app, high usage or Retry-After; not after transport errors."""
        self._shortages = 0
        now = time.monotonic()
        before = self._rate.paused_for(now)
        self._adapt(now, result)
        backed_off = self._rate.paused_for(now)
        requested = result.advice.retry_after if result.advice else None
        if requested is not None:
            self._rate.pause(now, requested.total_seconds())
        if requested is not None and requested.total_seconds() > before + SAME_PAUSE:
            self._on_pause(_requested_pause(requested.total_seconds(), result))
        elif backed_off > max(before + SAME_PAUSE, SHORTEST_SHOWN):
            self._on_pause(_own_pause(backed_off, result))

    def _adapt(self, now: float, result: SendResult) -> None:
        usage = result.advice.usage if result.advice else None
        if _is_throttled(result):
            self._rate.record_refusal(now)
        else:
            self._rate.record_accepted(now)
        if usage is not None and usage >= HIGH_USAGE:
            self._rate.record_refusal(now)


def _requested_pause(seconds: float, result: SendResult) -> PagePause:
    requested_by = result.advice.requested_by if result.advice else ""
    fault = _rate_limit_fault(result)
    reason = f"{fault.message} ({requested_by})" if fault else requested_by
    return PagePause(seconds=seconds, reason=reason, fault=fault)


def _own_pause(seconds: float, result: SendResult) -> PagePause:
    fault = _rate_limit_fault(result)
    reason = fault.message if fault else "the platform's limit is nearly used up"
    return PagePause(seconds=seconds, reason=reason, is_requested=False, fault=fault)


def _rate_limit_fault(result: SendResult) -> Fault | None:
    """Return the rate limit error of a response, if it is one."""
    if isinstance(result.outcome, Sent) or result.outcome.fault.type is not ErrorType.RATE_LIMIT:
        return None
    return result.outcome.fault


def _is_throttled(result: SendResult) -> bool:
    fault = _rate_limit_fault(result)
    return fault is not None and fault.scope is not FaultScope.RECIPIENT


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
