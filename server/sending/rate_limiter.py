"""Keeps a page's pace, and heeds what the platform says about it.

What a page has found out about the platform's limit lives as long as the process, beyond its worker: after a restart a
page begins slowly again, and is back within seconds.
"""

import asyncio
import time
from collections.abc import Callable

import msgspec

from domain.adaptive_rate import HIGH_USAGE, AdaptiveRate
from domain.fault import ErrorType, Fault, Scope
from domain.outcome import Sent
from server.messenger.channel import Attempted

SHORTEST_WAIT = 0.002  # seconds; shorter waits add up to the next
LONGEST_STEP = 1.0  # of one wait: the pace may change meanwhile
SAME_PAUSE = 0.1  # seconds by which two replies that ask for one pause may differ
SHORTEST_SHOWN = 2.0  # seconds; a shorter pause that the platform did not ask for counts as a slower pace
FIRST_LACK_SECONDS = 0.5  # that a page waits when this machine lacks the means to send; doubles up to the longest
LONGEST_LACK_SECONDS = 30.0


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing of the page leaves for so many seconds, and why; the fault is the platform's, if it answered with one.

    The platform asked for it, or the page makes it by itself after refusals for its pace.
    """

    seconds: float
    reason: str
    is_asked_for: bool = True
    fault: Fault | None = None


class AdaptiveRateLimiter:
    """One page's pace on this process's clock."""

    def __init__(self, limit: float, on_pause: Callable[[Pause], None] = lambda _: None) -> None:
        self._pace = AdaptiveRate(limit)
        self._on_pause = on_pause
        self._reopened = float("-inf")
        self._waits: set[asyncio.Timeout] = set()
        self._lacks = 0  # in a row, of the means to send
        self._lacks_until = 0.0

    def set_limit(self, limit: float) -> None:
        """The page's own limit from now on, in messages per second; it holds for what waits now, too."""
        self._pace.set_limit(time.monotonic(), limit)
        self._end_waits()

    def _end_waits(self) -> None:
        """Let all that waits look at the pace again."""
        now = asyncio.get_running_loop().time() if self._waits else 0.0
        for one in self._waits:
            if not one.expired():  # else it ends by itself just now
                one.reschedule(now)

    @property
    def rate(self) -> float:
        """Messages per second at this moment."""
        return self._pace.rate(time.monotonic())

    def chunk(self, most: int) -> int:
        """How many may be dispatched together."""
        return self._pace.chunk_size(time.monotonic(), most)

    def close(self, seconds: float, *, as_of: float = float("inf")) -> None:
        """Let nothing leave for so long, unless that was read (on the monotonic clock) before the pause was ended."""
        if as_of > self._reopened:
            self._pace.pause(time.monotonic(), seconds)

    def reopen(self) -> None:
        """End the pause under way; a later answer may ask for another."""
        self._reopened = time.monotonic()
        self._pace.end_pause(self._reopened)
        self._end_waits()

    def lack(self) -> float:
        """Let nothing leave for a while, for longer each time in a row, as this machine lacks the means to send.

        Return the seconds; 0 for a request that found nothing at the same time as another one.
        """
        now = time.monotonic()
        if now < self._lacks_until:
            return 0.0
        seconds = min(LONGEST_LACK_SECONDS, FIRST_LACK_SECONDS * 2.0 ** min(self._lacks, 10))
        self._lacks += 1
        self._lacks_until = now + seconds
        self._pace.pause(now, seconds)
        return seconds

    async def take(self, messages: int, halt: asyncio.Event, *, within: float = float("inf")) -> bool:
        """Waits until so many messages may leave; False after a halt, or at once when it takes longer than `within`."""
        now = time.monotonic()
        deadline = now + within
        while not halt.is_set():
            delay = self._pace.delay(now)
            if delay <= SHORTEST_WAIT:
                self._pace.record_sent(now, messages)
                return True
            if now + delay > deadline:
                return False
            await self._wait(halt, min(delay, LONGEST_STEP))
            now = time.monotonic()
        return False

    async def _wait(self, halt: asyncio.Event, seconds: float) -> None:
        """Wait for so long, for the halt, or for another pace."""
        try:
            async with asyncio.timeout(seconds) as limit:
                self._waits.add(limit)
                await halt.wait()
        except TimeoutError:
            return
        finally:
            self._waits.discard(limit)

    def heed(self, attempted: Attempted) -> None:
        """Slows down for rate limits of page or app, high usage and Retry-After; not for transport errors."""
        self._lacks = 0
        now = time.monotonic()
        before = self._pace.paused_for(now)
        self._adapt(now, attempted)
        backed_off = self._pace.paused_for(now)
        asked = attempted.advice.retry_after if attempted.advice else None
        if asked is not None:
            self._pace.pause(now, asked.total_seconds())
        if asked is not None and asked.total_seconds() > before + SAME_PAUSE:
            self._on_pause(_asked_pause(asked.total_seconds(), attempted))
        elif backed_off > max(before + SAME_PAUSE, SHORTEST_SHOWN):
            self._on_pause(_own_pause(backed_off, attempted))

    def _adapt(self, now: float, attempted: Attempted) -> None:
        usage = attempted.advice.usage if attempted.advice else None
        if _is_throttled(attempted):
            self._pace.record_refusal(now)
        else:
            self._pace.record_accepted(now)
        if usage is not None and usage >= HIGH_USAGE:
            self._pace.record_refusal(now)


def _asked_pause(seconds: float, attempted: Attempted) -> Pause:
    asked_by = attempted.advice.asked_by if attempted.advice else ""
    fault = _limit_of(attempted)
    return Pause(seconds=seconds, reason=f"{fault.message} ({asked_by})" if fault else asked_by, fault=fault)


def _own_pause(seconds: float, attempted: Attempted) -> Pause:
    fault = _limit_of(attempted)
    reason = fault.message if fault else "the platform's limit is nearly used up"
    return Pause(seconds=seconds, reason=reason, is_asked_for=False, fault=fault)


def _limit_of(attempted: Attempted) -> Fault | None:
    """Return the rate limit that the platform answered with, if it did."""
    if isinstance(attempted.outcome, Sent) or attempted.outcome.fault.type is not ErrorType.RATE_LIMIT:
        return None
    return attempted.outcome.fault


def _is_throttled(attempted: Attempted) -> bool:
    limit = _limit_of(attempted)
    return limit is not None and limit.scope is not Scope.RECIPIENT


async def wait(halt: asyncio.Event, seconds: float) -> None:
    """Waits for so long, or for the halt."""
    try:
        async with asyncio.timeout(seconds):
            await halt.wait()
    except TimeoutError:
        return
