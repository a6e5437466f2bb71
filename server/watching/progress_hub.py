"""Progress for watchers: whatever is watched, and by however many, costs one read of the database for all changes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from domain.batch_events import BatchEvent
from domain.errors import Unavailable
from domain.message_events import MessageEvent
from domain.page_events import PageHeld, PageReleased
from projections import failures, page_pauses
from projections.recorded import Recorded
from projections.sql import Sql
from server.commands.lookup import find_message
from server.log.commit import EventLog
from server.watching.progress import Look, Progress, looks_at
from server.watching.topic import Topic

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

    def _hear(self, recorded: Sequence[Recorded]) -> None:
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
    return Look(find_message(sql, owner, message_id), failures.by_type(sql, message_id))
