"""Limits the bytes of requests that handlers hold at once, per caller and in total."""

import asyncio
from collections import Counter, deque
from datetime import timedelta
from typing import NamedTuple

from server.api.errors import Exhausted

SMALL_REQUEST_BYTES = 64 * 1024  # a request up to this size is not counted
MAX_WAITING = 64  # requests of one caller
_RETRY_AFTER = timedelta(seconds=1)


class TooManyBytes(Exhausted):
    """Handlers hold too many bytes of other requests."""

    reason = "TOO_MANY_BYTES"

    def __init__(self) -> None:
        super().__init__("the server is processing too many large requests", _RETRY_AFTER)


class _Waiter(NamedTuple):
    size: int  # bytes that the request needs once it is inflated
    waiting_size: int  # bytes that it holds while it waits
    future: asyncio.Future[None]


class ByteBudget:
    """A budget of bytes for large requests, which wait until they fit.

    The requests of one caller are served in their order, and the callers in turn. All requests together hold at most
    1.5 times the largest request, one caller holds at most the largest, and waiting requests hold at most half of it.
    """

    def __init__(self, largest: int) -> None:
        self._max_total = largest + largest // 2
        self._max_per_key = largest
        self._max_waiting_size = largest // 2
        self._waiting_size = 0
        self._taken = 0
        self._taken_by_key: Counter[str] = Counter()
        self._waiting: dict[str, deque[_Waiter]] = {}  # by key: the next key to serve comes first

    async def acquire(self, key: str, size: int, waiting_size: int) -> None:
        """Wait until the request fits; raises TooManyBytes if too much is waiting."""
        if not self._waiting and self._fits(key, size):
            self._add(key, size)
            return
        queue = self._waiting.get(key, ())
        if len(queue) >= MAX_WAITING or self._waiting_size + waiting_size > self._max_waiting_size:
            raise TooManyBytes
        await self._wait(key, _Waiter(size, waiting_size, asyncio.get_running_loop().create_future()))

    def release(self, key: str, size: int) -> None:
        """Return the bytes of a request that the handler no longer needs."""
        self._add(key, -size)
        self._admit_waiting()

    async def _wait(self, key: str, waiter: _Waiter) -> None:
        self._waiting.setdefault(key, deque()).append(waiter)
        self._waiting_size += waiter.waiting_size
        self._admit_waiting()
        try:
            await waiter.future
        except asyncio.CancelledError:
            self._withdraw(key, waiter)
            raise

    def _withdraw(self, key: str, waiter: _Waiter) -> None:
        if not waiter.future.cancelled():  # it was admitted before the cancellation arrived
            self.release(key, waiter.size)
            return
        queue = self._waiting.get(key)
        if queue is not None and waiter in queue:
            queue.remove(waiter)
            self._waiting_size -= waiter.waiting_size
            if not queue:
                del self._waiting[key]
        self._admit_waiting()

    def _fits(self, key: str, size: int) -> bool:
        return self._taken + size <= self._max_total and self._taken_by_key[key] + size <= self._max_per_key

    def _add(self, key: str, size: int) -> None:
        self._taken += size
        self._taken_by_key[key] += size
        if not self._taken_by_key[key]:
            del self._taken_by_key[key]

    def _admit_waiting(self) -> None:
        while (
            key := next((one for one, queue in self._waiting.items() if self._fits(one, queue[0].size)), None)
        ) is not None:
            queue = self._waiting.pop(key)
            waiter = queue.popleft()
            if queue:
                self._waiting[key] = queue  # behind the other keys
            self._waiting_size -= waiter.waiting_size
            if not waiter.future.done():  # else it was cancelled in this iteration of the event loop
                self._add(key, waiter.size)
                waiter.future.set_result(None)
