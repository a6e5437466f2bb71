"""FairConcurrencyLimiter: how many requests may be in flight, of one page and of all together."""

import asyncio
from collections import deque

PAGE_SLOTS = 64  # requests in flight per page
BATCH_SLOTS = 2  # the same where each holds up to 50 messages: no more than a batch meets a token that has died
ALL_SLOTS = 480  # of this process: below the client's 500 connections, so that no request waits for one
LOOK_SECONDS = 0.05  # between two looks at the halt


class FairConcurrencyLimiter:
    """Counts requests in flight; a page's slots are also slots of the whole process.

    Whoever finds none free waits. The next one goes to the page that has the fewest requests in flight, and there to
    the first in the queue: a page with very much to send keeps no other from its share.
    """

    def __init__(self, limit: int, whole: "FairConcurrencyLimiter | None" = None) -> None:
        self.in_flight = 0
        self.limit = limit
        self._whole = whole
        self._queue: deque[asyncio.Future[bool]] = deque()
        self._queueing: dict[FairConcurrencyLimiter, None] = {}  # pages of this whole, the first comer first

    @property
    def is_free(self) -> bool:
        """One more request may leave."""
        return self.in_flight < self.limit and (self._whole is None or self._whole.is_free)

    async def take(self, halt: asyncio.Event, *, within: float = float("inf")) -> bool:
        """Waits for a slot; False after a halt, or when it takes longer than `within` seconds."""
        if halt.is_set():
            return False
        if self.is_free:
            self.occupy()
            return True
        return await self._wait(halt, within)

    def occupy(self) -> None:
        """A request is about to leave."""
        self.in_flight += 1
        if self._whole is not None:
            self._whole.occupy()

    def give_back(self) -> None:
        """A request has its answer, or did not leave."""
        self.in_flight -= 1
        if self._whole is not None:
            self._whole.give_back()
        elif self._queueing:
            self._hand_on()

    async def _wait(self, halt: asyncio.Event, within: float) -> bool:
        waiter = self._join()
        watch = _Watch(waiter, halt, within)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.result():
                self.give_back()
            raise
        finally:
            watch.stop()
            self._leave(waiter)

    def _join(self) -> asyncio.Future[bool]:
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.append(waiter)
        (self._whole or self).queue(self)
        return waiter

    def _leave(self, waiter: asyncio.Future[bool]) -> None:
        if waiter in self._queue:
            self._queue.remove(waiter)
        if not self._queue:
            (self._whole or self).unqueue(self)

    def queue(self, page: "FairConcurrencyLimiter") -> None:
        """Somebody waits for a slot of this page."""
        self._queueing[page] = None

    def unqueue(self, page: "FairConcurrencyLimiter") -> None:
        """Nobody waits for a slot of this page any more."""
        self._queueing.pop(page, None)

    def _hand_on(self) -> None:
        """A slot is free: whose turn is it?"""
        for page in sorted(self._queueing, key=lambda page: page.in_flight):
            if page.is_free and page.serve():
                return

    def serve(self) -> bool:
        """The first in the queue gets a slot; False when nobody is left there who wants it."""
        while self._queue:
            waiter = self._queue.popleft()
            if not waiter.done():
                self.occupy()
                waiter.set_result(True)
                return True
        return False


class _Watch:
    """Ends a wait after a halt, or when it takes too long."""

    def __init__(self, waiter: asyncio.Future[bool], halt: asyncio.Event, within: float) -> None:
        self._waiter = waiter
        self._halt = halt
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + within
        self._timer = self._loop.call_soon(self._look)

    def _look(self) -> None:
        now = self._loop.time()
        if not self._halt.is_set() and now < self._deadline:
            self._timer = self._loop.call_at(min(self._deadline, now + LOOK_SECONDS), self._look)
        elif not self._waiter.done():
            self._waiter.set_result(False)

    def stop(self) -> None:
        """The wait is over."""
        self._timer.cancel()
