"""Progress for watchers: whatever is watched, and by however many, costs one read of the database for all changes."""

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
from projections import failures, page_pauses
from projections.message_rows import MessageRow
from projections.sql import Sql
from server.commands.lookup import find_message
from server.eventstore.commit import EventLog
from server.progress.progress import Look, Progress, looks_at

# What the watchers of one message see: its latest progress, and news of it.


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


COALESCED_SECONDS = 0.1  # between two reads: changes show within 250 ms
PAUSE_SECONDS = 1.0  # between two looks for pauses of pages, which begin and end without an event


class ProgressHub:
    """One topic per watched message; those that changed are read together.

    `first_reads` is the log that a watch's first read goes to, the caller's; what all watches share is the service's.
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
        self._news = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None  # while something is watched
        log.listen(self._hear)

    def _hear(self, recorded: Sequence[RecordedEvent]) -> None:
        for one in recorded:
            if isinstance(one.event, BatchEvent | MessageEvent) and one.event.message_id in self._topics:
                self._changed.add(one.event.message_id)
            elif isinstance(one.event, PageHeld | PageReleased):
                self._changed.update(self._topics)
        if self._changed:
            self._news.set()

    async def watch(self, owner: str, message_id: str) -> AsyncIterator[Progress]:
        """A snapshot at once, then changes, the latest again when idle; ends when the message is done.

        Raises MessageNotFound, Unavailable.
        """
        topic = self._subscribe(message_id)
        try:
            topic.show(await self._first_reads.read(lambda sql: _first_look(sql, owner, message_id)))
            latest = await topic.next_after(None, self._heartbeat)
            while True:
                yield msgspec.structs.replace(latest, time=self._now())
                if latest.message.completed:
                    return
                latest = await topic.next_after(latest, self._heartbeat)
        finally:
            self._unsubscribe(message_id, topic)

    def _subscribe(self, message_id: str) -> Topic:
        topic = self._topics.get(message_id)
        if topic is None or topic.has_failed:
            topic = self._topics[message_id] = Topic(self._now)
        topic.watchers += 1
        if self._reader is None:
            self._reader = asyncio.create_task(self._read_on())
        return topic

    def _unsubscribe(self, message_id: str, topic: Topic) -> None:
        topic.watchers -= 1
        if not topic.watchers and self._topics.get(message_id) is topic:
            del self._topics[message_id]
        if not self._topics and self._reader is not None:
            self._reader.cancel()
            self._reader = None

    async def _read_on(self) -> None:
        look_again = time.monotonic() + PAUSE_SECONDS
        while True:
            await _wait(self._news, look_again - time.monotonic())
            self._news.clear()
            if time.monotonic() >= look_again:
                self._changed |= await self._paused_or_resumed()
                look_again = time.monotonic() + PAUSE_SECONDS
            changed, self._changed = self._changed & self._topics.keys(), set()
            if changed:
                await self._show(changed)
                await asyncio.sleep(COALESCED_SECONDS)

    async def _paused_or_resumed(self) -> set[str]:
        """Return the watched messages whose page's pause is another one than they show."""
        shown = {message_id: topic.message for message_id, topic in self._topics.items() if topic.message is not None}
        pages = {message.page_id for message in shown.values()}
        try:
            pauses = await self._log.read(lambda sql: page_pauses.of_pages(sql, pages))
        except Unavailable:
            return set()  # the next look finds them
        return {id_ for id_, message in shown.items() if message.page_pause != pauses.get(message.page_id)}

    async def _show(self, changed: Collection[str]) -> None:
        """Whatever keeps them from being read is told their watchers."""
        topics = {message_id: self._topics[message_id] for message_id in changed}
        try:
            looks = await self._log.read(lambda sql: looks_at(sql, changed))
        except Exception as cause:  # noqa: BLE001 - raised by each of the watches
            for topic in topics.values():
                topic.fail(cause)
            return
        for message_id, topic in topics.items():
            if message_id in looks:
                topic.show(looks[message_id])
            else:
                topic.fail(LookupError("a watched message is gone"))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, or for so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()


def _first_look(sql: Sql, owner: str, message_id: str) -> Look:
    return Look(find_message(sql, owner, message_id), failures.counts_by_type(sql, message_id))
