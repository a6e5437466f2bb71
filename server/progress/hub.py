"""ProgressHub: shows the progress of messages to any number of watchers.

All watched messages that changed are read together: the cost does not grow with the number of watchers.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from domain.batch_events import BatchEvent
from domain.errors import Unavailable
from domain.event import RecordedEvent
from domain.message_events import MessageEvent
from domain.page_events import PageHeld, PageReleased
from projections import page_pauses
from projections.message_rows import MessageRow
from server.eventstore.commit import EventLog
from server.progress.progress import Progress, ProgressReading, read_each, read_first

READ_INTERVAL_SECONDS = 0.1  # between two reads of changed messages: a change is shown within 250 ms
PAUSE_SECONDS = 1.0  # between two reads of page pauses, which begin and end without an event
RATE_SECONDS = 5.0  # time span of which the rate is computed


class ProgressHub:
    """Keeps one topic per watched message.

    `first_reads` is the event store for the first read of each watch, which counts for its caller. All later reads
    are shared by the watchers, and go to `log`.
    """

    def __init__(
        self,
        log: EventLog,
        now: Callable[[], datetime],
        heartbeat: timedelta,
        *,
        first_reads: EventLog | None = None,
    ) -> None:
        self._log = log
        self._first_reads = first_reads or log
        self._now = now
        self._heartbeat = heartbeat.total_seconds()
        self._topics: dict[str, Topic] = {}
        self._changed: set[str] = set()
        self._wakeup = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None  # runs while there are topics
        log.listen(self._on_events)

    def _on_events(self, recorded: Sequence[RecordedEvent]) -> None:
        for one in recorded:
            if isinstance(one.event, BatchEvent | MessageEvent) and one.event.message_id in self._topics:
                self._changed.add(one.event.message_id)
            elif isinstance(one.event, PageHeld | PageReleased):
                self._changed.update(self._topics)
        if self._changed:
            self._wakeup.set()

    async def watch(self, owner: str, message_id: str) -> AsyncIterator[Progress]:
        """Yield a snapshot at once, then each change, and the latest progress again at each heartbeat.

        Ends when the message is done. Raises MessageNotFound, Unavailable.
        """
        topic = self._subscribe(message_id)
        try:
            topic.update(await self._first_reads.read(lambda sql: read_first(sql, owner, message_id)))
            latest = await topic.next_after(None, self._heartbeat)
            while True:
                yield msgspec.structs.replace(latest, time=self._now())
                if latest.message.completed:
                    return
                latest = await topic.next_after(latest, self._heartbeat)
        finally:
            self._unsubscribe(message_id, topic)

    def _subscribe(self, message_id: str) -> "Topic":
        topic = self._topics.get(message_id)
        if topic is None or topic.has_failed:
            topic = self._topics[message_id] = Topic(self._now)
        topic.watchers += 1
        if self._reader is None:
            self._reader = asyncio.create_task(self._read_changes())
        return topic

    def _unsubscribe(self, message_id: str, topic: "Topic") -> None:
        topic.watchers -= 1
        if not topic.watchers and self._topics.get(message_id) is topic:
            del self._topics[message_id]
        if not self._topics and self._reader is not None:
            self._reader.cancel()
            self._reader = None

    async def _read_changes(self) -> None:
        """Read the topics that changed, until cancelled."""
        read_pauses_at = time.monotonic() + PAUSE_SECONDS
        while True:
            await _wait(self._wakeup, read_pauses_at - time.monotonic())
            self._wakeup.clear()
            if time.monotonic() >= read_pauses_at:
                self._changed |= await self._paused_or_resumed()
                read_pauses_at = time.monotonic() + PAUSE_SECONDS
            changed, self._changed = self._changed & self._topics.keys(), set()
            if changed:
                await self._update(changed)
                await asyncio.sleep(READ_INTERVAL_SECONDS)

    async def _paused_or_resumed(self) -> set[str]:
        """Return the watched messages whose page pause differs from the one they show."""
        shown = {message_id: topic.message for message_id, topic in self._topics.items() if topic.message is not None}
        pages = {message.page_id for message in shown.values()}
        try:
            pauses = await self._log.read(lambda sql: page_pauses.of_pages(sql, pages))
        except Unavailable:
            return set()  # the next read finds them
        return {id_ for id_, message in shown.items() if message.page_pause != pauses.get(message.page_id)}

    async def _update(self, changed: Collection[str]) -> None:
        """Read topics and show them to their watchers; a failed read ends their watches."""
        topics = {message_id: self._topics[message_id] for message_id in changed}
        try:
            readings = await self._log.read(lambda sql: read_each(sql, changed))
        except Exception as cause:  # noqa: BLE001 - raised by each of the watches
            for topic in topics.values():
                topic.fail(cause)
            return
        for message_id, topic in topics.items():
            if message_id in readings:
                topic.update(readings[message_id])
            else:
                topic.fail(LookupError("a watched message is gone"))


class Topic:
    """The latest progress of one watched message; a slow watcher skips to the latest."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._rate = _Rate()
        self._latest: Progress | None = None
        self._failure: Exception | None = None
        self._changed = asyncio.Event()  # replaced after each change, so that each watcher wakes once per change
        self.watchers = 0

    @property
    def has_failed(self) -> bool:
        """Return whether its watches have ended with an error; a new watch needs another topic."""
        return self._failure is not None

    @property
    def message(self) -> MessageRow | None:
        """Return the message as of the latest reading."""
        return self._latest.message if self._latest else None

    def update(self, reading: ProgressReading) -> None:
        """Show a reading, unless it is older than the one shown: reads may end in another order than they began."""
        message = reading.message
        if self._latest is not None and message.sequence < self._latest.sequence:
            return
        rate = self._rate.after(message)
        self._latest = Progress(
            sequence=message.sequence,
            time=self._now(),
            message=message,
            error_types=reading.error_types,
            messages_per_second=rate,
            eta=_eta(message, rate),
        )
        self._wake_watchers()

    def fail(self, cause: Exception) -> None:
        """End all watches with an error."""
        self._failure = cause
        self._wake_watchers()

    def _wake_watchers(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def next_after(self, seen: Progress | None, heartbeat: float) -> Progress:
        """Return the latest progress, once it is newer than `seen` or after a heartbeat; raises what `fail` got."""
        while True:
            await self._wait_for_change(seen, heartbeat)
            if self._failure is not None:
                raise self._failure
            if self._latest is not None:
                return self._latest

    async def _wait_for_change(self, seen: Progress | None, heartbeat: float) -> None:
        try:
            async with asyncio.timeout(heartbeat):
                while self._failure is None and not self._is_newer(seen):
                    await self._changed.wait()
        except TimeoutError:
            return

    def _is_newer(self, seen: Progress | None) -> bool:
        """Return whether there is a change since `seen`; a page pause begins and ends without another sequence."""
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
    """Outcomes per second over the last RATE_SECONDS, or between the last two readings if they are farther apart."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, int]] = deque()  # monotonic time, deliveries with an outcome

    def after(self, message: MessageRow) -> float:
        """Return the rate after one more reading."""
        now, done = time.monotonic(), message.total - message.open_deliveries
        self._readings.append((now, done))
        while len(self._readings) > 2 and self._readings[1][0] < now - RATE_SECONDS:
            self._readings.popleft()
        first_time, first_done = self._readings[0]
        elapsed = now - first_time
        return max(0.0, (done - first_done) / elapsed) if elapsed > 0 else 0.0


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()
