"""Progress for watchers: many watchers of one message cost one read of the database per change."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from domain.batch_events import BatchEvent
from domain.message_events import MessageEvent
from domain.page_events import PageHeld, PageReleased
from projections import failures, message_rows
from projections.message_rows import MessageRow
from projections.recorded import Recorded
from projections.sql import Sql
from server.commands.lookup import find_message
from server.log.commit import EventLog
from server.watching.progress import Progress

COALESCED_SECONDS = 0.1  # between two reads of one message: changes show within 250 ms
RATE_SECONDS = 5.0  # over which the rate is taken


class ProgressHub:
    """One topic per watched message; a slow watcher skips to the latest."""

    def __init__(self, log: EventLog, now: Callable[[], datetime], heartbeat: timedelta) -> None:
        self._log = log
        self._now = now
        self._heartbeat = heartbeat.total_seconds()
        self._topics: dict[str, _Topic] = {}
        log.listen(self._hear)

    def _hear(self, recorded: Sequence[Recorded]) -> None:
        for one in recorded:
            if isinstance(one.event, BatchEvent | MessageEvent) and one.event.message_id in self._topics:
                self._topics[one.event.message_id].changed.set()
            elif isinstance(one.event, PageHeld | PageReleased):
                for topic in self._topics.values():
                    topic.changed.set()

    async def watch(self, owner: str, message_id: str) -> AsyncIterator[Progress]:
        """A snapshot at once, then changes, the latest again when idle; ends when the message is done.

        Raises MessageNotFound, Unavailable.
        """
        await self._log.read(lambda sql: find_message(sql, owner, message_id))
        topic = self._subscribe(message_id)
        try:
            latest = await topic.next_after(-1, self._heartbeat)
            while True:
                yield msgspec.structs.replace(latest, time=self._now())
                if latest.message.completed:
                    return
                latest = await topic.next_after(latest.sequence, self._heartbeat)
        finally:
            self._unsubscribe(message_id, topic)

    def _subscribe(self, message_id: str) -> "_Topic":
        topic = self._topics.get(message_id)
        if topic is None:
            topic = self._topics[message_id] = _Topic(self._log, message_id, self._now)
        topic.watchers += 1
        return topic

    def _unsubscribe(self, message_id: str, topic: "_Topic") -> None:
        topic.watchers -= 1
        if not topic.watchers:
            del self._topics[message_id]
            topic.close()


class _Topic:
    """The latest progress of one message, read again after each change."""

    def __init__(self, log: EventLog, message_id: str, now: Callable[[], datetime]) -> None:
        self._log = log
        self._message_id = message_id
        self._now = now
        self._rate = _Rate()
        self._latest: Progress | None = None
        self._news = asyncio.Event()  # another one for each change, so that all watchers wake in the same turn
        self.watchers = 0
        self.changed = asyncio.Event()
        self.changed.set()
        self._reader = asyncio.create_task(self._read_on())

    def close(self) -> None:
        """Nobody watches any more."""
        self._reader.cancel()

    async def next_after(self, sequence: int, heartbeat: float) -> Progress:
        """The latest progress, once it is newer or the heartbeat is due; raises what reading raised."""
        while True:
            await self._wait_for_news(sequence, heartbeat)
            if self._reader.done():
                await self._reader
            if self._latest is not None:
                return self._latest

    async def _wait_for_news(self, sequence: int, heartbeat: float) -> None:
        try:
            async with asyncio.timeout(heartbeat):
                while not self._reader.done() and not self._is_newer(sequence):
                    await self._news.wait()
        except TimeoutError:
            return

    def _is_newer(self, sequence: int) -> bool:
        return self._latest is not None and self._latest.sequence > sequence

    def _announce(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _read_on(self) -> None:
        try:
            while True:
                await self.changed.wait()
                self.changed.clear()
                self._latest = await self._log.read(self._read)
                self._announce()
                await asyncio.sleep(COALESCED_SECONDS)
        finally:
            asyncio.get_running_loop().call_soon(self._announce)  # once this task is done

    def _read(self, sql: Sql) -> Progress:
        message = message_rows.find(sql, self._message_id)
        if message is None:
            raise LookupError("a watched message is gone")
        rate = self._rate.after(message)
        return Progress(
            sequence=message.sequence,
            time=self._now(),
            message=message,
            error_types=failures.by_type(sql, self._message_id),
            messages_per_second=rate,
            eta=_eta(message, rate),
        )


def _eta(message: MessageRow, rate: float) -> timedelta | None:
    if not rate or not message.open_deliveries or message.cancelled or message.paused:
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
