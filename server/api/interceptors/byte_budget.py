"""The bytes of requests that handlers work on at once, of one caller and of all together."""

import asyncio
from collections import Counter, deque
from datetime import timedelta
from typing import NamedTuple

from server.api.interceptors.limits import Exhausted

FREE = 64 * 1024  # a request up to this size is not counted
MOST_WAITING = 64  # requests of one caller
_RETRY_AFTER = timedelta(seconds=1)


class TooManyBytes(Exhausted):
    """Other large requests are worked on now."""

    reason = "TOO_MANY_BYTES"

    def __init__(self) -> None:
        super().__init__("too many large requests are worked on now", _RETRY_AFTER)


class _Waiter(NamedTuple):
    size: int  # what the request needs once it is inflated
    kept: int  # what it takes while it waits
    future: asyncio.Future[None]


class ByteBudget:
    """Large requests wait until there is room for them, each caller's in their order and callers in turn."""

    def __init__(self, largest: int) -> None:
        self._total = largest + largest // 2
        self._of_one = largest
        self._most_kept = largest // 2  # by all that wait
        self._kept = 0
        self._taken = 0
        self._by_key: Counter[str] = Counter()
        self._waiting: dict[str, deque[_Waiter]] = {}

    async def take(self, key: str, size: int, kept: int) -> None:
        """Waits for room; raises TooManyBytes where too much waits already."""
        if not self._waiting and self._fits(key, size):
            self._add(key, size)
            return
        queue = self._waiting.get(key, ())
        if len(queue) >= MOST_WAITING or self._kept + kept > self._most_kept:
            raise TooManyBytes
        await self._wait(key, _Waiter(size, kept, asyncio.get_running_loop().create_future()))

    def give_back(self, key: str, size: int) -> None:
        """The request is answered."""
        self._add(key, -size)
        self._hand_on()

    async def _wait(self, key: str, waiter: _Waiter) -> None:
        self._waiting.setdefault(key, deque()).append(waiter)
        self._kept += waiter.kept
        self._hand_on()
        try:
            await waiter.future
        except asyncio.CancelledError:
            self._withdraw(key, waiter)
            raise

    def _withdraw(self, key: str, waiter: _Waiter) -> None:
        if not waiter.future.cancelled():  # it had its room already
            self.give_back(key, waiter.size)
            return
        queue = self._waiting.get(key)
        if queue is not None and waiter in queue:
            queue.remove(waiter)
            self._kept -= waiter.kept
            if not queue:
                del self._waiting[key]
        self._hand_on()

    def _fits(self, key: str, size: int) -> bool:
        return self._taken + size <= self._total and self._by_key[key] + size <= self._of_one

    def _add(self, key: str, size: int) -> None:
        self._taken += size
        self._by_key[key] += size
        if not self._by_key[key]:
            del self._by_key[key]

    def _hand_on(self) -> None:
        while (
            key := next((one for one, queue in self._waiting.items() if self._fits(one, queue[0].size)), None)
        ) is not None:
            queue = self._waiting.pop(key)
            waiter = queue.popleft()
            if queue:
                self._waiting[key] = queue  # behind the others
            self._kept -= waiter.kept
            if not waiter.future.done():  # cancelled just now
                self._add(key, waiter.size)
                waiter.future.set_result(None)
