"""What the watchers of one message see: its latest progress, and news of it."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

from projections.message_rows import MessageRow
from server.watching.progress import Look, Progress

RATE_SECONDS = 5.0  # over which the rate is taken


class Topic:
    """One watched message; a slow watcher skips to the latest."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._rate = _Rate()
        self._latest: Progress | None = None
        self._failure: Exception | None = None
        self._news = asyncio.Event()  # another one for each change, so that all watchers wake in the same turn
        self.watchers = 0

    @property
    def has_failed(self) -> bool:
        """Its watchers are told why; others need another topic."""
        return self._failure is not None

    @property
    def message(self) -> MessageRow | None:
        """The message as it was read last."""
        return self._latest.message if self._latest else None

    def show(self, look: Look) -> None:
        """What a read has found; an earlier read may come later."""
        message = look.message
        if self._latest is not None and message.sequence < self._latest.sequence:
            return
        rate = self._rate.after(message)
        self._latest = Progress(
            sequence=message.sequence,
            time=self._now(),
            message=message,
            error_types=look.error_types,
            messages_per_second=rate,
            eta=_eta(message, rate),
        )
        self._announce()

    def fail(self, cause: Exception) -> None:
        """Every watcher's end."""
        self._failure = cause
        self._announce()

    def _announce(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def next_after(self, seen: Progress | None, heartbeat: float) -> Progress:
        """The latest progress, once it is newer or the heartbeat is due; raises what reading raised."""
        while True:
            await self._wait_for_news(seen, heartbeat)
            if self._failure is not None:
                raise self._failure
            if self._latest is not None:
                return self._latest

    async def _wait_for_news(self, seen: Progress | None, heartbeat: float) -> None:
        try:
            async with asyncio.timeout(heartbeat):
                while self._failure is None and not self._is_newer(seen):
                    await self._news.wait()
        except TimeoutError:
            return

    def _is_newer(self, seen: Progress | None) -> bool:
        """A pause of the page begins and ends without a change of the message's sequence."""
        if self._latest is None or seen is None:
            return self._latest is not None
        is_later = self._latest.sequence > seen.sequence
        return is_later or self._latest.message.page_pause != seen.message.page_pause


def _eta(message: MessageRow, rate: float) -> timedelta | None:
    if message.cancelled or message.paused or message.page_pause is not None:
        return None
    if not rate or not message.open_deliveries:
        return None
    return timedelta(seconds=message.open_deliveries / rate)


class _Rate:
    """Outcomes per second over the last few seconds, or since the change before where they are rarer."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def after(self, message: MessageRow) -> float:
        """The rate after one more look."""
        now, done = time.monotonic(), message.total - message.open_deliveries
        self._seen.append((now, done))
        while len(self._seen) > 2 and self._seen[1][0] < now - RATE_SECONDS:
            self._seen.popleft()
        first_time, first_done = self._seen[0]
        elapsed = now - first_time
        return max(0.0, (done - first_done) / elapsed) if elapsed > 0 else 0.0
