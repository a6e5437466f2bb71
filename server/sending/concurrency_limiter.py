"""Limits the requests in flight, per page and per process."""

import asyncio
from collections import deque

MAX_PAGE_REQUESTS = 64  # in flight per page
# In flight per page with SEND_MODE_BATCH, where each request holds up to 50 messages. With two, few
# messages fail when a token expires.
MAX_PAGE_GRAPH_BATCHES = 2
MAX_PROCESS_REQUESTS = 480  # in flight per process: below the HTTP client's 500 connections, so that none is waited for
HALT_POLL_SECONDS = 0.05  # between two checks whether the halt event is set


class FairConcurrencyLimiter:
    """Counts requests in flight; a request of a page also counts for the limiter of the process.

    A caller waits when the limit is reached. The next free place goes to the page with the fewest requests in flight,
    and there to the first caller in the queue. So a page with much to send does not starve the others.
    """

    def __init__(self, limit: int, process: "FairConcurrencyLimiter | None" = None) -> None:
        self.in_flight = 0
        self.limit = limit
        self._process = process
        self._queue: deque[asyncio.Future[bool]] = deque()
        self._waiting_pages: dict[FairConcurrencyLimiter, None] = {}  # of a process limiter, in order of arrival

    @property
    def has_capacity(self) -> bool:
        """Return whether one more request may leave."""
        return self.in_flight < self.limit and (self._process is None or self._process.has_capacity)

    async def acquire(self, halt: asyncio.Event, *, within: float = float("inf")) -> bool:
        """Wait until one more request may leave, and count it.

        Return False after a halt, or when the wait takes longer than `within` seconds.
        """
        if halt.is_set():
            return False
        if self.has_capacity:
            self.count_request()
            return True
        return await self._wait(halt, within)

    def count_request(self) -> None:
        """Count one more request in flight."""
        self.in_flight += 1
        if self._process is not None:
            self._process.count_request()

    def release(self) -> None:
        """Count one request less: it has a response, or did not leave."""
        self.in_flight -= 1
        if self._process is not None:
            self._process.release()
        elif self._waiting_pages:
            self._serve_next_page()

    async def _wait(self, halt: asyncio.Event, within: float) -> bool:
        waiter = self._join_queue()
        timer = _WaitTimer(waiter, halt, within)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.result():
                self.release()
            raise
        finally:
            timer.stop()
            self._leave_queue(waiter)

    def _join_queue(self) -> asyncio.Future[bool]:
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.append(waiter)
        (self._process or self).add_waiting_page(self)
        return waiter

    def _leave_queue(self, waiter: asyncio.Future[bool]) -> None:
        if waiter in self._queue:
            self._queue.remove(waiter)
        if not self._queue:
            (self._process or self).remove_waiting_page(self)

    def add_waiting_page(self, page: "FairConcurrencyLimiter") -> None:
        """Note that callers of a page wait."""
        self._waiting_pages[page] = None

    def remove_waiting_page(self, page: "FairConcurrencyLimiter") -> None:
        """Note that no caller of a page waits any more."""
        self._waiting_pages.pop(page, None)

    def _serve_next_page(self) -> None:
        for page in sorted(self._waiting_pages, key=lambda page: page.in_flight):
            if page.has_capacity and page.serve_first_waiter():
                return

    def serve_first_waiter(self) -> bool:
        """Count a request for the first caller in the queue that still waits; False if there is none."""
        while self._queue:
            waiter = self._queue.popleft()
            if not waiter.done():
                self.count_request()
                waiter.set_result(True)
                return True
        return False


class _WaitTimer:
    """Ends a wait with False after a halt or at its deadline."""

    def __init__(self, waiter: asyncio.Future[bool], halt: asyncio.Event, within: float) -> None:
        self._waiter = waiter
        self._halt = halt
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + within
        self._timer = self._loop.call_soon(self._check)

    def _check(self) -> None:
        now = self._loop.time()
        if not self._halt.is_set() and now < self._deadline:
            self._timer = self._loop.call_at(min(self._deadline, now + HALT_POLL_SECONDS), self._check)
        elif not self._waiter.done():
            self._waiter.set_result(False)

    def stop(self) -> None:
        """Cancel the timer: the wait is over."""
        self._timer.cancel()
