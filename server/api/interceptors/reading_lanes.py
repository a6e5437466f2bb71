"""Lanes limit how many requests are read at once, per caller and in total. A lane is the right to read one request.

gRPC allocates memory for a request as its bytes arrive, up to the largest size that it accepts, and does not show how
much has arrived. Each read therefore counts as the largest request. See docs/decisions/028-request-reading.md.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple, Self

from server.api.errors import Exhausted

MAX_WAITING = 256  # requests of one caller; further ones are refused at once
_RETRY_AFTER = timedelta(seconds=1)
_CHECKS_UNTIL_SLOW = 2


class ReadingRefused(Exhausted):
    """The server is reading other requests, and this one arrived too slowly or too many are waiting."""

    reason = "TOO_MANY_BYTES"

    @classmethod
    def for_slow_read(cls) -> Self:
        """Return the refusal of a slow read that was stopped for a waiting one."""
        return cls("the request arrived too slowly while others waited to be read", _RETRY_AFTER)


class LaneLimits(NamedTuple):
    """The number of lanes in total, and per caller."""

    lanes: int
    per_caller: int
    slow_lanes: int = 0  # for slow reads that have given their lane to a waiting read
    slow_per_caller: int = 0
    check_seconds: float = 0.1  # a read is slow if it is unfinished at two checks this far apart


class Lane:
    """A read in progress."""

    __slots__ = ("_loop", "checks", "is_slow", "key", "start_time", "timeout", "was_stopped")

    def __init__(self, key: str, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.key = key
        self.start_time = loop.time()
        self.checks = 0  # counted instead of seconds: while the event loop is busy, no request can arrive
        self.is_slow = False
        self.was_stopped = False
        self.timeout: asyncio.Timeout | None = None

    def stop(self) -> None:
        """Let the read time out now."""
        self.was_stopped = True
        if self.timeout is not None and not self.timeout.expired():
            self.timeout.reschedule(self._loop.time())


class Lanes:
    """Assigns lanes to callers in turn. While reads wait, slow reads move to slow lanes or are stopped."""

    def __init__(self, limits: LaneLimits) -> None:
        self._limits = limits
        self._in_use: set[Lane] = set()
        self._fast: Counter[str] = Counter()
        self._slow: Counter[str] = Counter()
        self._fast_total = self._slow_total = 0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: dict[str, deque[asyncio.Future[Lane]]] = {}  # by caller: the next caller to serve comes first

    async def acquire(self, key: str) -> Lane:
        """Wait for a lane; raises ReadingRefused."""
        if not self._waiting and self._is_free_for(key):
            return self._assign(key)
        queue = self._waiting.setdefault(key, deque())
        if len(queue) >= MAX_WAITING:
            raise ReadingRefused(f"more than {MAX_WAITING} requests wait to be read", _RETRY_AFTER)
        return await self._wait(key, queue)

    def release(self, lane: Lane) -> None:
        """Free the lane of a finished read; nothing stops that read any more."""
        lane.timeout = None
        self._in_use.discard(lane)
        self._uncount(lane)
        if self._waiting:
            self._assign_free_lanes()

    async def _wait(self, key: str, queue: deque[asyncio.Future[Lane]]) -> Lane:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Lane] = loop.create_future()
        queue.append(waiter)
        if self._is_free_for(key):
            self._assign_free_lanes()
        if self._timer is None:
            self._timer = loop.call_later(self._limits.check_seconds, self._check_reads)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._withdraw(key, waiter)
            raise

    def _withdraw(self, key: str, waiter: asyncio.Future[Lane]) -> None:
        if not waiter.cancelled():  # it had a lane before the cancellation arrived
            self.release(waiter.result())
            return
        queue = self._waiting.get(key)
        if queue is not None and waiter in queue:
            queue.remove(waiter)
            if not queue:
                del self._waiting[key]

    def _check_reads(self) -> None:
        """Make room for waiting reads; runs every `check_seconds` while there are any."""
        self._timer = None
        for lane in self._in_use:
            lane.checks += 1
        for key in list(self._waiting):
            self._make_room(key)
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(self._limits.check_seconds, self._check_reads)

    def _make_room(self, key: str) -> None:
        """Move a slow read to a slow lane, or stop it if all slow lanes are in use."""
        lane = next(self._slow_reads(key), None)
        if lane is None:
            return
        if self._slow_total < self._limits.slow_lanes and self._slow[lane.key] < self._limits.slow_per_caller:
            self._uncount(lane)
            lane.is_slow = True
            self._slow[lane.key] += 1
            self._slow_total += 1
        else:
            self._in_use.discard(lane)
            lane.stop()
        self._assign_free_lanes()

    def _slow_reads(self, key: str) -> Iterator[Lane]:
        """Yield slow reads that block a caller: those of the caller with the most lanes first, the longest first.

        A caller that has all of its lanes is blocked by its own reads only.
        """
        if self._is_free_for(key):
            return
        slow = [
            lane
            for lane in self._in_use
            if not lane.is_slow and not lane.was_stopped and lane.checks >= _CHECKS_UNTIL_SLOW
        ]
        if self._fast[key] >= self._limits.per_caller:
            slow = [lane for lane in slow if lane.key == key]
        yield from sorted(slow, key=lambda lane: (-self._fast[lane.key], lane.start_time))

    def _is_free_for(self, key: str) -> bool:
        return self._fast_total < self._limits.lanes and self._fast[key] < self._limits.per_caller

    def _assign(self, key: str) -> Lane:
        lane = Lane(key, asyncio.get_running_loop())
        self._in_use.add(lane)
        self._fast[key] += 1
        self._fast_total += 1
        return lane

    def _assign_free_lanes(self) -> None:
        while (key := next((one for one in self._waiting if self._is_free_for(one)), None)) is not None:
            queue = self._waiting.pop(key)
            waiter = queue.popleft()
            if queue:
                self._waiting[key] = queue  # behind the other callers
            if not waiter.done():  # else it was cancelled in this iteration of the event loop
                waiter.set_result(self._assign(key))

    def _uncount(self, lane: Lane) -> None:
        counts = self._slow if lane.is_slow else self._fast
        counts[lane.key] -= 1
        if not counts[lane.key]:
            del counts[lane.key]
        if lane.is_slow:
            self._slow_total -= 1
        else:
            self._fast_total -= 1
