"""Lanes: how many requests are read at once, of one caller and of all together.

gRPC takes the memory of a request as its bytes come, up to the largest that it accepts, and hides how far it is.
A request that is being read therefore counts as the largest one. See docs/decisions/028-request-reading.md.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple, Self

from server.api.interceptors.limits import Exhausted

MOST_WAITING = 256  # of one caller: more are refused at once
_RETRY_AFTER = timedelta(seconds=1)
_LOOKS = 2


class ReadingRefused(Exhausted):
    """Other requests are read now, and this one came too slowly, or too many wait."""

    reason = "TOO_MANY_BYTES"

    @classmethod
    def of_slow_read(cls) -> Self:
        """The refusal of a read that gave way."""
        return cls("the request came too slowly while others waited to be read", _RETRY_AFTER)


class Width(NamedTuple):
    """How many lanes there are, and how many of them one caller may have."""

    lanes: int
    of_one: int
    slow_lanes: int = 0  # for reads that have lost their lane to a waiting one
    slow_of_one: int = 0
    patience: float = 0.1  # seconds: a read gives way when it was under way at two looks that far apart


class Lane:
    """One read under way."""

    __slots__ = ("_loop", "began", "end", "is_slow", "key", "looks", "was_ended")

    def __init__(self, key: str, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.key = key
        self.began = loop.time()
        self.looks = 0  # not seconds: while the event loop is busy no request can come
        self.is_slow = False
        self.was_ended = False
        self.end: asyncio.Timeout | None = None

    def give_way(self) -> None:
        """Ends the read."""
        self.was_ended = True
        if self.end is not None and not self.end.expired():
            self.end.reschedule(self._loop.time())


class Lanes:
    """Hands lanes out, in turn to the callers that wait; a slow read gives way to one that waits."""

    def __init__(self, width: Width) -> None:
        self._width = width
        self._held: set[Lane] = set()
        self._fast: Counter[str] = Counter()
        self._slow: Counter[str] = Counter()
        self._fast_total = self._slow_total = 0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: dict[str, deque[asyncio.Future[Lane]]] = {}  # by caller: the next one in turn first

    async def take(self, key: str) -> Lane:
        """Waits for a lane; raises ReadingRefused."""
        if not self._waiting and self._is_free_for(key):
            return self._occupy(key)
        queue = self._waiting.setdefault(key, deque())
        if len(queue) >= MOST_WAITING:
            raise ReadingRefused(f"more than {MOST_WAITING} requests wait to be read", _RETRY_AFTER)
        return await self._wait(key, queue)

    async def _wait(self, key: str, queue: deque[asyncio.Future[Lane]]) -> Lane:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Lane] = loop.create_future()
        queue.append(waiter)
        if self._is_free_for(key):
            self._hand_on()
        if self._timer is None:
            self._timer = loop.call_later(self._width.patience, self._lose_patience)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._withdraw(key, waiter)
            raise

    def _lose_patience(self) -> None:
        """Makes room for those that wait; called every so often while there are any."""
        self._timer = None
        for lane in self._held:
            lane.looks += 1
        for key in list(self._waiting):
            self._make_room(key)
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(self._width.patience, self._lose_patience)

    def _withdraw(self, key: str, waiter: asyncio.Future[Lane]) -> None:
        if not waiter.cancelled():  # it had its lane already
            self.give_back(waiter.result())
            return
        queue = self._waiting.get(key)
        if queue is not None and waiter in queue:
            queue.remove(waiter)
            if not queue:
                del self._waiting[key]

    def give_back(self, lane: Lane) -> None:
        """The read is over, and nothing ends it any more."""
        lane.end = None
        self._held.discard(lane)
        self._uncount(lane)
        if self._waiting:
            self._hand_on()

    def _is_free_for(self, key: str) -> bool:
        return self._fast_total < self._width.lanes and self._fast[key] < self._width.of_one

    def _occupy(self, key: str) -> Lane:
        lane = Lane(key, asyncio.get_running_loop())
        self._held.add(lane)
        self._fast[key] += 1
        self._fast_total += 1
        return lane

    def _uncount(self, lane: Lane) -> None:
        counts = self._slow if lane.is_slow else self._fast
        counts[lane.key] -= 1
        if not counts[lane.key]:
            del counts[lane.key]
        if lane.is_slow:
            self._slow_total -= 1
        else:
            self._fast_total -= 1

    def _hand_on(self) -> None:
        while (key := next((one for one in self._waiting if self._is_free_for(one)), None)) is not None:
            queue = self._waiting.pop(key)
            waiter = queue.popleft()
            if queue:
                self._waiting[key] = queue  # behind the others
            if not waiter.done():  # cancelled just now
                waiter.set_result(self._occupy(key))

    def _make_room(self, key: str) -> None:
        """Lets the read that has held a lane for longest give way: the caller's own, where that has its share."""
        victim = next(self._victims(key), None)
        if victim is None:
            return
        if self._slow_total < self._width.slow_lanes and self._slow[victim.key] < self._width.slow_of_one:
            self._uncount(victim)
            victim.is_slow = True
            self._slow[victim.key] += 1
            self._slow_total += 1
        else:
            self._held.discard(victim)
            victim.give_way()
        self._hand_on()

    def _victims(self, key: str) -> Iterator[Lane]:
        """Those who have had their time, the caller with the most lanes first, and there the longest read."""
        if self._is_free_for(key):
            return
        slow = [lane for lane in self._held if not lane.is_slow and not lane.was_ended and lane.looks >= _LOOKS]
        if self._fast[key] >= self._width.of_one:
            slow = [lane for lane in slow if lane.key == key]
        yield from sorted(slow, key=lambda lane: (-self._fast[lane.key], lane.began))
